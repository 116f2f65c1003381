import * as z from "zod";
import { Failure } from "../../manifests/failure.ts";
import type { Tree, TreeKind } from "./data-driver.ts";
import { NodeError } from "./failure.ts";

// Argument lists of the LVM tools and their reports as values; hostd/system/data-lvm.ts runs them (ADR 0012).

/** A thin pool that somebody made for hostd: `lvm:VG/POOL`. */
export interface Pool {
  group: string;
  pool: string;
}

/** A thin volume, or the pool itself, as LVM reports it. */
export interface Volume {
  name: string;
  /** Bytes; of a thin volume those it may have, not those it has. */
  size: number;
  /** Parts of one; absent while it is not active. */
  data: number | undefined;
  metadata: number | undefined;
  created: Date;
  active: boolean;
  /** A pool that is full answers with an error. */
  failsWhenFull: boolean;
}

/** Names of LVM hold these, and no hyphen first (lvm(8), VALID NAMES). */
const NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$/;
/** What LVM keeps for volumes of its own. */
const RESERVED =
  /^(?:snapshot|pvmove)|_(?:cdata|cmeta|corig|mlog|mimage|pmspare|rimage|rmeta|tdata|tmeta|vorigin|vdata)/;
const LONGEST = 127;
const PREFIX = "hostd";
const LETTERS = { versions: "v", snapshots: "s", half: "m" } as const;

/** Refuses, as a mistake of who named it, what cannot be a pool. */
export function parsePool(text: string): Pool {
  const [, group = "", pool = ""] = /^lvm:([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (NAME.test(group) && NAME.test(pool)) return { group, pool };
  throw new Failure("usage", "bad-option", `--data: expected auto or lvm:VG/POOL, got ${text}`, {
    hint: "lvs --select 'segtype = thin-pool' lists the pools of this machine",
  });
}

/** `hostd.shop.v.first`: an app's name holds no dot, so the parts are found again. Refuses what LVM would not take. */
export function volumeName({ app, kind, id }: Tree | { app: string; kind: "half"; id: string }): string {
  const name = [PREFIX, app, LETTERS[kind], id].join(".");
  if (name.length <= LONGEST && NAME.test(name) && !RESERVED.test(name)) return name;
  throw new NodeError("wrong-name", `expected names of app and data that fit one of LVM, got ${JSON.stringify(name)}`);
}

/** The ids of an app's volumes of a kind. */
export function idsOf(volumes: readonly Volume[], app: string, kind: TreeKind | "half"): string[] {
  const prefix = `${[PREFIX, app, LETTERS[kind]].join(".")}.`;
  return volumes.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => name.slice(prefix.length));
}

const REPORT = "lv_name,lv_size,data_percent,metadata_percent,lv_time,lv_active,lv_when_full";

export const reportArgs = ({ group }: Pool): string[] => [
  "lvs",
  '--config=report{time_format="%s"}',
  "--reportformat=json",
  "--units=b",
  "--nosuffix",
  `--options=${REPORT}`,
  group,
];

/** A volume that is not used at once: `size` is what it may grow to. */
export const createArgs = ({ group, pool }: Pool, name: string, size: number): string[] => [
  "lvcreate",
  "--yes",
  "--type=thin",
  `--thinpool=${pool}`,
  `--virtualsize=${size}b`,
  `--name=${name}`,
  group,
];

/**
 * A thin snapshot, taken at once. LVM suspends an active origin for it, which freezes its file system: what is
 * copied is clean and on the disk. One that is only kept is read-only and stays inactive until it is looked at.
 */
export const snapshotArgs = ({ group }: Pool, from: string, to: string, readOnly: boolean): string[] => [
  "lvcreate",
  "--yes",
  "--snapshot",
  `--permission=${readOnly ? "r" : "rw"}`,
  `--setactivationskip=${readOnly ? "y" : "n"}`,
  `--name=${to}`,
  `${group}/${from}`,
];

export const removeArgs = ({ group }: Pool, name: string): string[] => ["lvremove", "--yes", `${group}/${name}`];

export const renameArgs = ({ group }: Pool, from: string, to: string): string[] => ["lvrename", group, from, to];

export const activateArgs = ({ group }: Pool, name: string, active: boolean): string[] => [
  "lvchange",
  `--activate=${active ? "y" : "n"}`,
  ...(active ? ["--ignoreactivationskip"] : []),
  `${group}/${name}`,
];

/** A full pool answers with an error at once; by default writers would hang for a minute and then fail. */
export const failWhenFullArgs = ({ group, pool }: Pool): string[] => [
  "lvchange",
  "--errorwhenfull=y",
  `${group}/${pool}`,
];

export const devicePath = ({ group }: Pool, name: string): string => `/dev/${group}/${name}`;

const number = z.string().transform((text) => (text === "" ? undefined : Number(text)));
const reportSchema = z.object({
  report: z.tuple([
    z.object({
      lv: z.array(
        z.object({
          lv_name: z.string(),
          lv_size: z.coerce.number(),
          data_percent: number,
          metadata_percent: number,
          lv_time: z.string(),
          lv_active: z.string(),
          lv_when_full: z.string(),
        }),
      ),
    }),
  ]),
});

/** The report of `reportArgs`. */
export function parseReport(text: string): Volume[] {
  const [{ lv }] = reportSchema.parse(JSON.parse(text)).report;
  return lv.map((found) => ({
    name: found.lv_name,
    size: found.lv_size,
    data: found.data_percent === undefined ? undefined : found.data_percent / 100,
    metadata: found.metadata_percent === undefined ? undefined : found.metadata_percent / 100,
    created: new Date(Number(found.lv_time) * 1000),
    active: found.lv_active !== "",
    failsWhenFull: found.lv_when_full === "error",
  }));
}
