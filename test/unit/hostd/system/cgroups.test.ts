import { describe, expect, test } from "vitest";
import { controlFiles, placeOf } from "../../../../hostd/system/cgroups.ts";
import { parseOpenFiles } from "../../../../hostd/system/limits.ts";
import { parseMountinfo } from "../../../../hostd/system/mountinfo.ts";

const HYBRID = parseMountinfo(`31 1 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`);
const UNIFIED = parseMountinfo("32 31 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate");
const LIMITS = { memory: 512 * 1024 * 1024, cpu: 150, tasks: 64, files: 100 };

describe("controlFiles", () => {
  test("write each limit as version 1 wants it, swap with memory, the sandbox's tasks on top", () => {
    expect(controlFiles(LIMITS, 1, 2)).toEqual([
      ["memory", "memory.limit_in_bytes", "536870912"],
      ["memory", "memory.memsw.limit_in_bytes", "536870912"],
      ["cpu", "cpu.cfs_period_us", "100000"],
      ["cpu", "cpu.cfs_quota_us", "150000"],
      ["pids", "pids.max", "66"],
    ]);
  });

  test("write each limit as version 2 wants it", () => {
    expect(controlFiles(LIMITS, 2, 2)).toEqual([
      ["memory", "memory.max", "536870912"],
      ["memory", "memory.swap.max", "0"],
      ["cpu", "cpu.max", "150000 100000"],
      ["pids", "pids.max", "66"],
    ]);
  });

  test("write nothing for what is not limited, nor for open files", () => {
    expect(controlFiles({ files: 100 }, 2, 2)).toEqual([]);
  });
});

describe("placeOf", () => {
  const cgroup = "5:memory:/apps\n4:cpu,cpuacct:/\n0::/user\n";

  test("a controller is where version 1 has it, however it is mounted together with others", () => {
    expect(placeOf("memory", cgroup, HYBRID)).toEqual({ version: 1, directory: "/sys/fs/cgroup/memory/apps" });
    expect(placeOf("cpu", cgroup, HYBRID)).toEqual({ version: 1, directory: "/sys/fs/cgroup/cpu,cpuacct/" });
  });

  test("else it is in the unified hierarchy, whether or not it is switched on there", () => {
    expect(placeOf("pids", cgroup, HYBRID)).toEqual({ version: 2, directory: "/sys/fs/cgroup/unified/user" });
    expect(placeOf("memory", "0::/system.slice/x.service\n", UNIFIED)).toEqual({
      version: 2,
      directory: "/sys/fs/cgroup/system.slice/x.service",
    });
  });

  test("there is none where nothing is mounted", () => {
    expect(placeOf("memory", cgroup, [])).toBeUndefined();
  });
});

test("parseOpenFiles reads the soft limit", () => {
  expect(
    parseOpenFiles("Limit  Soft  Hard  Units\nMax open files            1024                 20000   files\n"),
  ).toBe(1024);
  expect(parseOpenFiles("")).toBeUndefined();
});
