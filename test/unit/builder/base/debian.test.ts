import { expect, test } from "vitest";
import { debianCommand } from "../../../../builder/base/debian.ts";

test("debianCommand runs mmdebstrap in namespaces of its own, that die with the builder", () => {
  const options = {
    suite: "bookworm",
    sources: ["deb http://m bookworm main"],
    aptOptions: ['Acquire::http::Proxy "http://p";'],
  };
  expect(debianCommand("/root", options)).toEqual([
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    ...["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"],
    ...["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--dpkgopt=force-unsafe-io"],
    ...['--aptopt=Acquire::http::Proxy "http://p";', "bookworm", "/root", "deb http://m bookworm main"],
  ]);
});
