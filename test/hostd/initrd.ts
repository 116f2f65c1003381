import { cpSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a boot of a root leaves on the data partition, as recipes/host/initrd/init does: this node's id, and its /etc. */
export function openEtc(state: string, root: string): void {
  const at = (path: string) => join(state, "host", path);
  const etc = at(join("etc", root));
  const id = at("identity/etc/machine-id");
  if (!existsSync(id)) writeFileSync(id, `${"1".repeat(32)}\n`);
  for (const name of ["upper", "work"]) mkdirSync(join(etc, name), { recursive: true });
  if (existsSync(join(etc, "declared"))) return;
  cpSync(at("identity/etc"), join(etc, "declared.new"), { recursive: true, verbatimSymlinks: true });
  renameSync(join(etc, "declared.new"), join(etc, "declared"));
}
