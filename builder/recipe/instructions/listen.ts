import { isIP } from "node:net";
import { badValue, onlyWord, readArguments } from "../arguments.ts";
import type { Draft } from "../draft.ts";
import { quote } from "../problem.ts";
import { fail, type Instruction } from "../split.ts";
import { port } from "../values.ts";

const ANY = ["0.0.0.0", "::"];

/** `LISTEN port` or `LISTEN address:port`: a socket that hostd holds open, handed over in the order of the recipe. */
export function readListen(instruction: Instruction, draft: Draft): void {
  const expected = "a port such as 8080, or an address and a port such as 127.0.0.1:8080";
  const at = onlyWord(instruction, readArguments(instruction, draft, {}).words, expected);
  const [, bracketed, plain, number] = /^(?:(?:\[([^\]]*)\]|([^:[\]]*)):)?([^:]+)$/.exec(at.value) ?? [];
  const address = bracketed ?? plain ?? "0.0.0.0";
  if (number === undefined) badValue(instruction, at, `bad socket ${quote(at.value)}`, { expected });
  if (/^\d+\/\w+$/.test(number ?? "")) {
    const suggestion = `LISTEN ${at.value.split("/")[0]}`;
    badValue(instruction, at, `LISTEN takes TCP ports alone, got ${quote(at.value)}`, { expected, suggestion });
  }
  if (isIP(address) !== (bracketed === undefined ? 4 : 6)) {
    const suggestion = address === "localhost" ? `127.0.0.1:${number}` : undefined;
    badValue(instruction, at, `bad address ${quote(address)}`, { expected: "an IP address, IPv6 in [ ]", suggestion });
  }
  const socket = { port: port(instruction, { ...at, value: number ?? "" }), address };
  const taken = draft.image.listen.find(
    (other) =>
      other.port === socket.port && (other.address === address || ANY.includes(other.address) || ANY.includes(address)),
  );
  if (taken !== undefined) {
    const message = `port ${socket.port} is listened on already, by LISTEN ${taken.address}:${taken.port}`;
    fail(instruction, at.start, at.end, { code: "duplicate", message });
  }
  draft.image.listen.push(socket);
}
