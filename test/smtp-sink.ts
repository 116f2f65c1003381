import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** A mail server on loopback that takes every message and keeps it (RFC 5321, as much as a client needs). */
export async function openSmtpSink() {
  const mails: string[] = [];
  const server = createServer((socket) => {
    let [text, inData] = ["", false];
    const say = (line: string) => socket.write(`${line}\r\n`);
    say("220 sink");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString();
      for (;;) {
        const end = text.indexOf(inData ? "\r\n.\r\n" : "\r\n");
        if (end < 0) return;
        const piece = text.slice(0, end);
        text = text.slice(end + (inData ? 5 : 2));
        if (inData) {
          mails.push(piece);
          inData = false;
          say("250 kept");
        } else if (/^DATA/i.test(piece)) {
          inData = true;
          say("354 go on");
        } else if (/^QUIT/i.test(piece)) {
          say("221 bye");
          socket.end();
        } else say("250 ok");
      }
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    mails,
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    subjects: () => mails.map((mail) => /^Subject: (.*(?:\r\n .*)*)/m.exec(mail)?.[1]?.replaceAll("\r\n ", " ") ?? ""),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
