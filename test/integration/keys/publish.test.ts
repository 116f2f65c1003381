import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BaseFetcher, Updater } from "tuf-js";
import { DownloadHTTPError } from "tuf-js/dist/error.js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSource } from "../../../effects/source.ts";
import { openTrust, seedTrust } from "../../../keys/trust.ts";
import { initRepository, publishRelease } from "../../../keys/tuf/repository.ts";
import { allSigners, makeFoundation, makeRelease } from "../../foundation.ts";

const NOW = new Date("2026-11-21T08:00:00Z");
const PUBLISHER = fileURLToPath(new URL("../../publisher.ts", import.meta.url));

let home: string;
let repository: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "ostler-publish-"));
  repository = join(home, "repository");
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe("a publisher killed with SIGKILL between two writes", () => {
  beforeEach(async () => {
    await initRepository({ directory: repository, signers: allSigners, now: NOW }, makeFoundation());
    await publishRelease({ directory: repository, signers: allSigners, now: NOW }, makeRelease(1));
    await open("veteran");
  });

  test.each([
    ["release", ["old", "old", "old", "new"]],
    ["policy", ["old", "old", "old", "old"]],
    ["refresh", ["old"]],
    ["rotate", ["old", "old", "old", "old"]],
  ])("leaves what old and new clients can read, during %s", async (action, outcomes) => {
    await cp(repository, join(home, "start"), { recursive: true });
    for (const [index, outcome] of outcomes.entries()) {
      const writes = index + 1;
      expect(publish(action, writes)).toBe("SIGKILL");
      const expected = makeRelease(outcome === "new" ? 2 : 1);
      await expectReadable("newcomer", expected);
      await expectReadable("veteran", expected);
      expect(publish(action === "rotate" ? "refresh" : action, 0)).toBeNull();
      await expectReadable("newcomer", action === "release" ? makeRelease(2) : makeRelease(1));
      await rm(repository, { recursive: true });
      await cp(join(home, "start"), repository, { recursive: true });
      await rm(join(home, "veteran"), { recursive: true });
      await open("veteran");
    }
    expect(publish(action, outcomes.length + 1)).toBeNull();
  });

  test("leaves temporary files that the next one removes", async () => {
    const leftover = join(repository, "metadata/.timestamp.json.abc123.tmp");
    await writeFile(leftover, "half");
    expect(publish("release", 0)).toBeNull();
    expect(await readdir(join(repository, "metadata"))).not.toContain(".timestamp.json.abc123.tmp");
  });
});

describe("initRepository", () => {
  test("killed anywhere leaves no repository, and the next try makes it", async () => {
    for (let writes = 1; writes <= 7; writes += 1) {
      expect(publish("init", writes)).toBe("SIGKILL");
      await expect(stat(repository)).rejects.toMatchObject({ code: "ENOENT" });
    }
    expect(publish("init", 0)).toBeNull();
    expect((await stat(repository)).mode & 0o777).toBe(0o755);
  });

  test("refuses where there is one, with nothing changed", async () => {
    const publishing = { directory: repository, signers: allSigners, now: NOW };
    await initRepository(publishing, makeFoundation());
    const before = await readFile(join(repository, "metadata/timestamp.json"));
    await expect(initRepository(publishing, makeFoundation())).rejects.toMatchObject({ code: "keys-exist" });
    expect(await readFile(join(repository, "metadata/timestamp.json"))).toEqual(before);
    expect(await readdir(home)).toEqual(["repository"]);
  });
});

describe("two publishers at once", () => {
  test("lose neither release", async () => {
    const publishing = { directory: repository, signers: allSigners, now: NOW };
    await initRepository(publishing, makeFoundation());
    const products = ["a", "b", "c", "d"];
    await Promise.all(products.map((product) => publishRelease(publishing, makeRelease(1, { product }))));
    const trust = await open("reader");
    for (const product of products) expect(await trust.release("production", product)).toMatchObject({ product });
  });
});

describe("tuf-js's own client", () => {
  test("reads the repository and downloads a release from it", async () => {
    const now = new Date();
    const publishing = { directory: repository, signers: allSigners, now };
    await initRepository(publishing, makeFoundation());
    await publishRelease(publishing, makeRelease(1));
    const directory = join(home, "foreign");
    await mkdir(directory);
    await cp(join(repository, "metadata/1.root.json"), join(directory, "root.json"));
    const updater = new Updater({
      metadataDir: directory,
      metadataBaseUrl: "file:///metadata",
      targetDir: directory,
      targetBaseUrl: "file:///targets",
      fetcher: new DirectoryFetcher(repository),
    });
    await updater.refresh();
    const info = await updater.getTargetInfo("production/shop.json");
    if (info === undefined) throw new Error("expected the release among the targets");
    const file = await updater.downloadTarget(info);
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(makeRelease(1));
  });
});

class DirectoryFetcher extends BaseFetcher {
  readonly directory: string;

  constructor(directory: string) {
    super();
    this.directory = directory;
  }

  override async fetch(url: string): Promise<ReadableStream> {
    try {
      return new Blob([await readFile(join(this.directory, new URL(url).pathname))]).stream();
    } catch {
      throw new DownloadHTTPError("not found", 404);
    }
  }
}

async function open(client: string) {
  const directory = join(home, client);
  await seedTrust(directory, await readFile(join(repository, "metadata/1.root.json")));
  return await openTrust({ source: openSource(repository), directory, now: () => NOW });
}

async function expectReadable(client: string, release: ReturnType<typeof makeRelease>): Promise<void> {
  const trust = await open(client);
  expect(trust.staleReason).toBeUndefined();
  expect(await trust.release("production", "shop")).toEqual(release);
  if (client === "newcomer") await rm(join(home, client), { recursive: true });
}

/** How the publisher ended: the signal that killed it, or null when it ended by itself. */
function publish(action: string, writes: number): NodeJS.Signals | null {
  const { signal, status, stderr } = spawnSync(process.execPath, [PUBLISHER, repository, action, String(writes)]);
  if (signal === null && status !== 0) throw new Error(stderr.toString());
  return signal;
}
