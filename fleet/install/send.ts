import { stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../effects/process.ts";
import { withTemporaryDirectory } from "../../effects/temporary.ts";
import { bytes } from "../../terminal/table.ts";
import { FleetError } from "../error.ts";
import type { Session } from "../push/session.ts";
import { type BundleFile, sumsOf } from "./bundle.ts";
import { type Found, VERSIONS } from "./machine.ts";
import { failed, type Installing, on, told, UNCHANGED } from "./remote.ts";

/** A version is there whole, as it was sent, or not at all. */
const TAKE = `set -eu
umask 022
versions=${VERSIONS} id=$1 from=$2 sums=$3
shift 3
new=$versions/.$id.new
rm -rf "$new"
mkdir -p "$new"
tar --extract --gzip --no-same-owner --directory "$new"
for name; do ln "$versions/$from/$name" "$new/$name"; done
cd "$new"
printf %s "$sums" >SHA256SUMS
sha256sum --quiet --check SHA256SUMS
sync --file-system .
cd /
old=$versions/.$id.old
rm -rf "$old"
[ ! -e "$versions/$id" ] || mv -T "$versions/$id" "$old"
mv -T "$new" "$versions/$id"
sync "$versions"
rm -rf "$old"`;

const IS_WHOLE = `cd ${VERSIONS}/"$1" && sha256sum --quiet --check SHA256SUMS`;

/** Compressed, as they crossed the connection; files that the machine had already are not among them. */
export interface Sent {
  files: number;
  bytes: number;
}

/** Sends the machine what it lacks of a version; resolves when that is there whole. Nothing that runs changes. */
export async function send(session: Session, options: Installing, found: Found): Promise<Sent> {
  const { bundle } = options;
  const whole = () =>
    on(session, options, ["sh", "-c", IS_WHOLE, "check", bundle.id]).then(
      () => true,
      () => false,
    );
  if (found.versions.has(bundle.id) && (await whole())) return { files: 0, bytes: 0 };
  const has = ({ sha256, name }: BundleFile) => bundle.id !== found.current && found.sums.get(sha256) === name;
  const reused = bundle.files.filter(has);
  try {
    return await sendBeside(session, options, found.current ?? "", reused);
  } catch (error) {
    if (reused.length === 0 || !(error instanceof FleetError)) throw error;
    return await sendBeside(session, options, "", []); // what is there is not what it was recorded as
  }
}

/** Sends a version but for the files that another one has. */
async function sendBeside(
  session: Session,
  options: Installing,
  from: string,
  reused: readonly BundleFile[],
): Promise<Sent> {
  const { bundle, signal } = options;
  const lacking = bundle.files.filter((file) => !reused.includes(file));
  return await withTemporaryDirectory(tmpdir(), async (work) => {
    const [packed, list] = [join(work, "hostd.tar.gz"), join(work, "names")];
    await writeFile(list, lacking.map(({ name }) => `./${name}\n`).join(""));
    const tar = ["tar", "--create", "--gzip", `--file=${packed}`, `--directory=${bundle.directory}`];
    await run([...tar, "--owner=0", "--group=0", "--mode=u+w,go-w,a+rX", `--files-from=${list}`], { signal });
    const { size } = await stat(packed);
    const names = reused.map(({ name }) => name);
    const take = ["sh", "-c", TAKE, "take", bundle.id, from, sumsOf(bundle.files), ...names];
    await told(options, `send hostd ${bundle.id}: ${bytes(size)}`, async () => {
      const whereFrom = ["sh", "-c", 'exec "$@" <"$0"', packed];
      await run([...whereFrom, ...session.command(take)], { signal }).catch((cause: unknown) => {
        throw failed(options, "could not be sent", cause, UNCHANGED);
      });
    });
    return { files: lacking.length, bytes: size };
  });
}
