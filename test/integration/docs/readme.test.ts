import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../../../effects/process.ts";
import { describeWith } from "../../needs.ts";

const root = join(import.meta.dirname, "../../..");

// The example is typed as it stands, but its daemon gets a mount namespace of its own, so that it finds an empty
// /var/lib/hostd and /run/hostd and leaves this machine's alone.
describeWith({ root: true, programs: ["mmdebstrap", "bwrap", "git"] }, "the README's first image", () => {
  test("is built, tested, promoted and deployed by the commands as they stand there", async () => {
    const directory = await mkdtemp(join(tmpdir(), "ostler-readme-"));
    try {
      await cp(join(root, "recipes/hello"), join(directory, "recipes/hello"), { recursive: true });
      await cp(join(root, ".gitignore"), join(directory, ".gitignore"));
      await run(["git", "init", "--quiet", directory]);
      await run(["git", "-C", directory, "add", "."]);
      const author = ["-c", "user.name=Reader", "-c", "user.email=reader@localhost"];
      await run(["git", "-C", directory, ...author, "commit", "--quiet", "-m", "hello"]);
      const { stdout } = await run(["unshare", "--mount", "--propagation", "private", "sh", "-euc", await script()], {
        cwd: directory,
        env: { ...process.env, CI: "", HOME: directory, XDG_DATA_HOME: undefined, OSTLER_HOME: undefined },
        timeout: 170_000,
      });
      expect(stdout).toContain("Hello from process");
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

async function script(): Promise<string> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const example = /## First image\n\n```\n([^`]+)```/.exec(readme)?.[1] ?? "";
  const commands = example.replace("PATH=$PWD/bin", `PATH=${join(root, "bin")}`);
  return `
    mkdir -p /var/lib/hostd /run/hostd state
    mount --bind state /var/lib/hostd
    mount -t tmpfs tmpfs /run/hostd
    ${commands.replace(/ &\n/, " &\ntrap 'kill $!; wait; hostd reset --wipe' EXIT\n")}
    perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new("127.0.0.1:8081") or die $!; print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>'
  `;
}
