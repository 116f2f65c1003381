import { describe, expect, test } from "vitest";
import {
  holdUnit,
  type ServiceSpec,
  serviceUnit,
  socketUnit,
  unitNames,
} from "../../../../../hostd/system/systemd/units.ts";

const names = unitNames("/run/hostd", "shop");
const http = { address: "0.0.0.0", port: 8080 };
const admin = { address: "::1", port: 9090 };
const spec: ServiceSpec = {
  app: "shop",
  generation: 7,
  directory: "/run/hostd/apps/shop",
  command: ["bwrap", "--bind", "/data/100%", "/app/var/lib/a shop"],
  sockets: [http, admin],
  stopTimeout: 3000,
};

describe("units of an app", () => {
  test("names are an app's own: no app, port or run directory gets those of another", () => {
    expect(names.service(7)).toBe("hostd-app-shop@7.service");
    expect(names.socket(admin)).toBe("hostd-app-shop@9090-__1.socket");
    expect(names.isOwn(names.service(7)) && names.isOwn(names.hold(http))).toBe(true);
    expect(unitNames("/run/hostd", "shop-2").isOwn(names.service(7))).toBe(false);
    expect(unitNames("/run/other", "shop").service(7)).toMatch(/^hostd-[0-9a-f]{8}-app-shop@7\.service$/);
  });

  test("a service is told ready by its steward, has its sockets by name and order, and never fails for too many starts", () => {
    const lines = serviceUnit(spec, names).split("\n");
    expect(lines).toContain("Type=notify");
    expect(lines).toContain("StartLimitIntervalSec=0");
    expect(lines).toContain("Sockets=hostd-app-shop@8080-0.0.0.0.socket hostd-app-shop@9090-__1.socket");
    expect(lines).toContain("TimeoutStopSec=13000ms");
    expect(lines.find((line) => line.startsWith("ExecStart="))).toMatch(
      /^ExecStart="\/usr\/bin\/perl" "[^"]*\/steward\.pl" "\/run\/hostd\/apps\/shop" "7" "3000" "8080-0\.0\.0\.0:9090-__1" "bwrap" "--bind" "\/data\/100%%" "\/app\/var\/lib\/a shop"$/,
    );
  });

  test("a service is hardened: no user or network namespace, a list of system calls, few capabilities", () => {
    const lines = serviceUnit(spec, names).split("\n");
    for (const line of ["NoNewPrivileges=yes", "RestrictNamespaces=mnt pid ipc uts cgroup", "RestrictSUIDSGID=yes"]) {
      expect(lines).toContain(line);
    }
    expect(lines).toContain("SystemCallFilter=@system-service @mount");
  });

  test("an app without LISTEN has no Sockets=", () => {
    expect(serviceUnit({ ...spec, sockets: [] }, names)).not.toContain("Sockets=");
  });

  test("traffic while nothing runs starts a unit that does nothing, and never trips a limit", () => {
    const lines = socketUnit("shop", admin, names).split("\n");
    expect(lines).toContain("ListenStream=[::1]:9090");
    expect(lines).toContain("Backlog=4096");
    expect(lines).toContain("TriggerLimitIntervalSec=0");
    expect(lines).toContain(`Service=${names.hold(admin)}`);
    const hold = holdUnit("shop", admin, names).split("\n");
    expect(hold).toContain("ExecStart=/bin/true");
    expect(hold).toContain("RemainAfterExit=yes");
    expect(hold).toContain(`BindsTo=${names.socket(admin)}`);
  });
});
