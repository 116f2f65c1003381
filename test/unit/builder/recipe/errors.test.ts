import { describe, expect, test } from "vitest";
import { errorOf } from "./read.ts";

/** Title, recipe, and the whole text that a person reads. */
type Case = readonly [title: string, recipe: string, expected: string];

const instructions: readonly Case[] = [
  [
    "an instruction is matched as a whole word",
    `FROM debian:bookworm
BOOTSTRAP

# packages
RUN a \\
  b
\tRUNX apt-get update
`,
    `shop.recipe:7:2: unknown instruction "RUNX"
  7 |     RUNX apt-get update
    |     ^^^^
  expected an instruction
  did you mean RUN?`,
  ],
  [
    "a word that is near nothing gets no suggestion",
    `FROM debian:bookworm
STOPTIMEOUT 5s
`,
    `shop.recipe:2:1: unknown instruction "STOPTIMEOUT"
  2 | STOPTIMEOUT 5s
    | ^^^^^^^^^^^
  expected one of ADD, ARG, BOOT, BOOTSTRAP, CMD, CONFIG, COPY, DATA, DEPLOY, DRAIN, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTH, HEALTHCHECK, KIND, LABEL, LIMIT, LISTEN, MAINTAINER, MIGRATE, ONBUILD, QUIESCE, READY, RESUME, REVERTED, RUN, SHELL, STOPSIGNAL, SWITCH, TEST, USER, VOLUME, WORKDIR`,
  ],
  [
    "an instruction without anything behind it points after its word",
    `FROM debian:bookworm
RUN
`,
    `shop.recipe:2:4: RUN is not complete
  2 | RUN
    |    ^
  expected a command, as text or as a JSON array: ["/bin/program", "argument"]`,
  ],
  [
    "COPY needs a destination",
    `FROM debian:bookworm
COPY a
`,
    `shop.recipe:2:7: COPY is not complete
  2 | COPY a
    |       ^
  expected a destination after the sources`,
  ],
  [
    "ENV needs a value",
    `FROM debian:bookworm
ENV A
`,
    `shop.recipe:2:5: "A" has no value
  2 | ENV A
    |     ^
  expected name=value`,
  ],
  [
    "LABEL needs pairs",
    `FROM debian:bookworm
LABEL
`,
    `shop.recipe:2:6: LABEL is not complete
  2 | LABEL
    |      ^
  expected name=value`,
  ],
  [
    "ARG needs a name",
    `FROM debian:bookworm
ARG
`,
    `shop.recipe:2:4: ARG is not complete
  2 | ARG
    |    ^
  expected name or name=default`,
  ],
  [
    "every problem is found, in the order of the text",
    `FROM debian:bookworm
RUNX a
COPY ../a /b
USER a b
`,
    `shop.recipe:2:1: unknown instruction "RUNX"
  2 | RUNX a
    | ^^^^
  expected an instruction
  did you mean RUN?

shop.recipe:3:6: COPY source "../a" leaves the context
  3 | COPY ../a /b
    |      ^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context

shop.recipe:4:8: USER takes one word
  4 | USER a b
    |        ^
  expected user or user:group
  hint: put quotes around a value with blanks

3 problems in shop.recipe`,
  ],
];

const sections: readonly Case[] = [
  [
    "a recipe needs FROM",
    `# nothing
`,
    `shop.recipe:1:1: recipe has no FROM
  1 | # nothing
    | ^^^^^^^^^
  expected FROM and a reference, such as FROM debian:bookworm`,
  ],
  [
    "an empty file needs FROM",
    ``,
    `shop.recipe:1:1: recipe has no FROM
  1 |
    | ^
  expected FROM and a reference, such as FROM debian:bookworm`,
  ],
  [
    "steps below a missing FROM are judged by themselves",
    `RUN a
COPY ../x /y
`,
    `shop.recipe:1:1: RUN stands above FROM
  1 | RUN a
    | ^^^
  expected FROM and a reference first, such as FROM debian:bookworm

shop.recipe:2:6: COPY source "../x" leaves the context
  2 | COPY ../x /y
    |      ^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context

2 problems in shop.recipe`,
  ],
  [
    "DEPLOY needs FROM above",
    `DEPLOY FROM scratch
COPY a /b
`,
    `shop.recipe:1:1: DEPLOY stands above FROM
  1 | DEPLOY FROM scratch
    | ^^^^^^
  expected FROM and a reference first, such as FROM debian:bookworm`,
  ],
  [
    "BOOTSTRAP stands once",
    `FROM scratch
BOOTSTRAP
BOOTSTRAP
`,
    `shop.recipe:3:1: second BOOTSTRAP: the first is in line 2
  3 | BOOTSTRAP
    | ^^^^^^^^^
  expected one BOOTSTRAP section`,
  ],
  [
    "DEPLOY stands once",
    `FROM scratch
DEPLOY
RUN a
DEPLOY FROM scratch
`,
    `shop.recipe:4:1: second DEPLOY: the first is in line 2
  4 | DEPLOY FROM scratch
    | ^^^^^^
  expected one DEPLOY section`,
  ],
  [
    "BOOTSTRAP stands above DEPLOY",
    `FROM scratch
DEPLOY
BOOTSTRAP
`,
    `shop.recipe:3:1: BOOTSTRAP below DEPLOY, which is in line 2
  3 | BOOTSTRAP
    | ^^^^^^^^^
  expected BOOTSTRAP first, then DEPLOY`,
  ],
  [
    "nothing stands between FROM and the BOOTSTRAP header",
    `FROM scratch
ENV A=1
BOOTSTRAP
`,
    `shop.recipe:3:1: instructions stand above the BOOTSTRAP header
  3 | BOOTSTRAP
    | ^^^^^^^^^
  expected BOOTSTRAP right after FROM
  hint: text without a header is BOOTSTRAP already: move the header up, or leave it out`,
  ],
  [
    "a header takes no steps on its line",
    `FROM scratch
DEPLOY COPY a /b
`,
    `shop.recipe:2:8: unexpected "COPY" after DEPLOY
  2 | DEPLOY COPY a /b
    |        ^^^^
  expected FROM and a reference, or nothing: steps stand on the lines below`,
  ],
  [
    "FROM in DEPLOY goes on its line",
    `FROM debian:bookworm
DEPLOY
FROM scratch
`,
    `shop.recipe:3:1: FROM inside DEPLOY
  3 | FROM scratch
    | ^^^^^^^^^^^^
  did you mean DEPLOY FROM scratch?
  hint: write it on the line of DEPLOY, which then starts again from it`,
  ],
  [
    "a multi-stage Dockerfile is told the section way, and only that",
    `FROM node:20 AS build
RUN npm ci
FROM nginx:1.27
COPY --from=build /app /usr/share/nginx/html
RUNX
`,
    `shop.recipe:3:1: second FROM: the first is in line 1
  3 | FROM nginx:1.27
    | ^^^^
  expected at most two stages, written as the sections BOOTSTRAP and DEPLOY
  did you mean DEPLOY FROM nginx:1.27?
  hint: then COPY --from=bootstrap takes files of the first, and COPY --from=IMAGE those of other images`,
  ],
  [
    "files of BOOTSTRAP cannot be taken in BOOTSTRAP",
    `FROM debian:bookworm
COPY --from=bootstrap /a /b
`,
    `shop.recipe:2:13: "bootstrap" is not finished yet
  2 | COPY --from=bootstrap /a /b
    |             ^^^^^^^^^
  expected an image: files of BOOTSTRAP can be taken in DEPLOY alone`,
  ],
  [
    "a declaration of the app above DEPLOY FROM would be lost",
    `FROM debian:bookworm
LISTEN 80
DEPLOY FROM scratch
`,
    `shop.recipe:2:1: LISTEN in BOOTSTRAP is lost: DEPLOY FROM starts again
  2 | LISTEN 80
    | ^^^^^^
  hint: move it below DEPLOY`,
  ],
  [
    "a job above DEPLOY FROM would become a service",
    `FROM debian:bookworm
KIND job
DEPLOY FROM scratch
`,
    `shop.recipe:2:1: KIND in BOOTSTRAP is lost: DEPLOY FROM starts again
  2 | KIND job
    | ^^^^
  hint: move it below DEPLOY`,
  ],
];

const bases: readonly Case[] = [
  [
    "FROM needs a reference",
    `FROM
`,
    `shop.recipe:1:5: FROM is not complete
  1 | FROM
    |     ^
  expected a reference such as debian:bookworm or scratch`,
  ],
  [
    "Debian needs a suite",
    `FROM debian
`,
    `shop.recipe:1:6: no Debian suite is named
  1 | FROM debian
    |      ^^^^^^
  expected debian:SUITE
  did you mean debian:bookworm?`,
  ],
  [
    "Debian is not taken by digest",
    `FROM debian@sha256:0000000000000000000000000000000000000000000000000000000000000000
`,
    `shop.recipe:1:6: debian: takes a suite, not a digest
  1 | FROM debian@sha256:0000000000000000000000000000000000000000000000000000000000000000
    |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  expected debian:SUITE
  hint: NAME.recipe.lock pins what was made; for an image of a registry write docker.io/library/debian@sha256:...`,
  ],
  [
    "a misspelt base is not looked for in a registry",
    `FROM debain:bookworm
`,
    `shop.recipe:1:6: unknown base "debain"
  1 | FROM debain:bookworm
    |      ^^^^^^^^^^^^^^^
  expected debian:SUITE, scratch, image:NAME, oci:DIR, tar:FILE or a registry reference
  did you mean debian:SUITE?
  hint: for a registry's image of this name write docker.io/library/debain`,
  ],
  [
    "scratch misspelt",
    `FROM debian:bookworm
DEPLOY FROM scrath
`,
    `shop.recipe:2:13: unknown base "scrath"
  2 | DEPLOY FROM scrath
    |             ^^^^^^
  expected debian:SUITE, scratch, image:NAME, oci:DIR, tar:FILE or a registry reference
  did you mean scratch?
  hint: for a registry's image of this name write docker.io/library/scrath`,
  ],
  [
    "image names are lower-case",
    `FROM example.org/Team/App:1
`,
    `shop.recipe:1:6: bad image name "Team/App"
  1 | FROM example.org/Team/App:1
    |      ^^^^^^^^^^^^^^^^^^^^^^
  expected lower-case letters and digits, parted by . _ - or /
  did you mean team/app?`,
  ],
  [
    "a digest is whole",
    `FROM node@sha256:abc
`,
    `shop.recipe:1:6: bad digest "sha256:abc"
  1 | FROM node@sha256:abc
    |      ^^^^^^^^^^^^^^^
  expected sha256: and 64 lower-case hex digits`,
  ],
  [
    "tags have no blanks or slashes",
    `FROM image:shop:v%1
`,
    `shop.recipe:1:6: bad tag "v%1"
  1 | FROM image:shop:v%1
    |      ^^^^^^^^^^^^^^
  expected letters, digits, _ . and -, at most 128`,
  ],
  [
    "image: needs a name",
    `FROM image:
`,
    `shop.recipe:1:6: image: names no image
  1 | FROM image:
    |      ^^^^^^
  expected image:NAME[:TAG|@sha256:...]`,
  ],
  [
    "oci: needs a directory",
    `FROM oci:
`,
    `shop.recipe:1:6: oci: names no directory
  1 | FROM oci:
    |      ^^^^
  expected oci:DIR[:TAG]`,
  ],
  [
    "tar: needs a file",
    `FROM tar:
`,
    `shop.recipe:1:6: tar: names no file
  1 | FROM tar:
    |      ^^^^
  expected tar:FILE`,
  ],
  [
    "a registry's name is a host",
    `FROM ex_ample.org:5000/a
`,
    `shop.recipe:1:6: bad registry name "ex_ample.org:5000"
  1 | FROM ex_ample.org:5000/a
    |      ^^^^^^^^^^^^^^^^^^^
  expected HOST or HOST:PORT`,
  ],
  [
    "--platform is not there",
    `FROM --platform=linux/arm64 debian:bookworm
`,
    `shop.recipe:1:6: "--platform=linux/arm64" is not supported
  1 | FROM --platform=linux/arm64 debian:bookworm
    |      ^^^^^^^^^^^^^^^^^^^^^^
  hint: an image is built for the machine's own architecture: build on a machine of the other one`,
  ],
  [
    "words behind the reference are AS and a name",
    `FROM debian:bookworm build
`,
    `shop.recipe:1:22: unexpected "build" after the reference
  1 | FROM debian:bookworm build
    |                      ^^^^^
  expected FROM reference [AS name]`,
  ],
  [
    "a stage name is a word",
    `FROM debian:bookworm AS 1st
`,
    `shop.recipe:1:25: bad stage name "1st"
  1 | FROM debian:bookworm AS 1st
    |                         ^^^
  expected a letter, then letters, digits, . _ or -`,
  ],
  [
    "FROM sees only ARGs above it",
    `FROM debian:$SUITE
`,
    `shop.recipe:1:13: unknown variable "SUITE"
  1 | FROM debian:$SUITE
    |             ^^^^^^
  expected an ARG above FROM`,
  ],
  [
    "FROM needs its ARG to have a value",
    `ARG SUITE
FROM debian:\${SUITE}
`,
    `shop.recipe:2:13: ARG "SUITE" has no value
  2 | FROM debian:\${SUITE}
    |             ^^^^^^^
  expected a default, or a value given to the build`,
  ],
];

const flags: readonly Case[] = [
  [
    "an unknown flag names those there are",
    `FROM debian:bookworm
COPY --chwon=a b /c
`,
    `shop.recipe:2:6: unknown flag "--chwon" of COPY
  2 | COPY --chwon=a b /c
    |      ^^^^^^^
  expected --from, --closure, --chown, --chmod, --exclude, --link
  did you mean --chown?`,
  ],
  [
    "a flag needs its value behind =",
    `FROM debian:bookworm
COPY --chown app b /c
`,
    `shop.recipe:2:6: flag --chown needs a value
  2 | COPY --chown app b /c
    |      ^^^^^^^
  expected --chown=VALUE`,
  ],
  [
    "a flag stands once",
    `FROM debian:bookworm
RUN --network=none --network=none a
`,
    `shop.recipe:2:20: flag --network given twice
  2 | RUN --network=none --network=none a
    |                    ^^^^^^^^^^^^^^`,
  ],
  [
    "a switch takes no value",
    `FROM debian:bookworm
DEPLOY
COPY --closure=yes --from=bootstrap /a /b
`,
    `shop.recipe:3:16: flag --closure takes no value
  3 | COPY --closure=yes --from=bootstrap /a /b
    |                ^^^
  expected --closure`,
  ],
  [
    "all bad flags of one instruction are shown",
    `FROM debian:bookworm
HEALTH tcp://a:1 --intervall=1s --wihtin=2s
`,
    `shop.recipe:2:18: unknown flag "--intervall" of HEALTH
  2 | HEALTH tcp://a:1 --intervall=1s --wihtin=2s
    |                  ^^^^^^^^^^^
  expected --interval, --timeout, --within, --stable, --max-age
  did you mean --interval?

shop.recipe:2:33: unknown flag "--wihtin" of HEALTH
  2 | HEALTH tcp://a:1 --intervall=1s --wihtin=2s
    |                                 ^^^^^^^^
  expected --interval, --timeout, --within, --stable, --max-age
  did you mean --within?

2 problems in shop.recipe`,
  ],
  [
    "flags of COPY stand before its paths",
    `FROM debian:bookworm
COPY a --chown=b /c
`,
    `shop.recipe:2:8: flag "--chown=b" stands behind a path
  2 | COPY a --chown=b /c
    |        ^^^^^^^^^
  hint: flags of COPY come first; a file of this name is written ./--chown=b`,
  ],
  [
    "the host's network is not given",
    `FROM debian:bookworm
RUN --network=host a
`,
    `shop.recipe:2:15: the host's own network is not given to steps
  2 | RUN --network=host a
    |               ^^^^
  expected default or none`,
  ],
  [
    "--closure needs a tree",
    `FROM debian:bookworm
COPY --closure a /b
`,
    `shop.recipe:2:6: --closure needs a tree that holds the libraries
  2 | COPY --closure a /b
    |      ^^^^^^^^^
  expected --from=bootstrap or --from=IMAGE`,
  ],
  [
    "--closure and --exclude do not go together",
    `FROM debian:bookworm
DEPLOY FROM scratch
COPY --from=bootstrap --closure --exclude=x /a /b
`,
    `shop.recipe:3:23: --closure does not go with --exclude
  3 | COPY --from=bootstrap --closure --exclude=x /a /b
    |                       ^^^^^^^^^
  expected one of them`,
  ],
  [
    "--from misspelt",
    `FROM debian:bookworm
DEPLOY FROM scratch
COPY --from=bootstap /a /b
`,
    `shop.recipe:3:13: unknown source "bootstap"
  3 | COPY --from=bootstap /a /b
    |             ^^^^^^^^
  expected bootstrap or an image
  did you mean bootstrap?`,
  ],
  [
    "--from takes no stage number",
    `FROM debian:bookworm
DEPLOY FROM scratch
COPY --from=0 /a /b
`,
    `shop.recipe:3:13: unknown source "0"
  3 | COPY --from=0 /a /b
    |             ^
  expected bootstrap or an image
  did you mean bootstrap?`,
  ],
  [
    "--from scratch holds nothing",
    `FROM debian:bookworm
DEPLOY FROM scratch
COPY --from=scratch /a /b
`,
    `shop.recipe:3:13: scratch holds no files
  3 | COPY --from=scratch /a /b
    |             ^^^^^^^
  expected bootstrap or an image`,
  ],
  [
    "--chown takes a user",
    `FROM debian:bookworm
COPY --chown=:www a /b
`,
    `shop.recipe:2:14: bad owner ":www"
  2 | COPY --chown=:www a /b
    |              ^^^^
  expected user or user:group, as names or numbers`,
  ],
  [
    "--chmod is octal or symbolic",
    `FROM debian:bookworm
COPY --chmod=888 a /b
`,
    `shop.recipe:2:14: bad mode "888"
  2 | COPY --chmod=888 a /b
    |              ^^^
  expected octal such as 755, or symbolic such as u=rwX,go=rX`,
  ],
  [
    "--exclude stays inside its source",
    `FROM debian:bookworm
COPY --exclude=../x a /b
`,
    `shop.recipe:2:16: bad pattern "../x"
  2 | COPY --exclude=../x a /b
    |                ^^^^
  expected a pattern relative to the source, such as *.test.js or docs/**`,
  ],
];

const mounts: readonly Case[] = [
  [
    "a mount has a known type",
    `FROM debian:bookworm
RUN --mount=type=cach,target=/a b
`,
    `shop.recipe:2:13: bad mount type "cach"
  2 | RUN --mount=type=cach,target=/a b
    |             ^^^^^^^^^
  expected bind, cache, tmpfs or secret
  did you mean cache?`,
  ],
  [
    "a mount has a target",
    `FROM debian:bookworm
RUN --mount=type=cache b
`,
    `shop.recipe:2:13: the mount has no target
  2 | RUN --mount=type=cache b
    |             ^^^^^^^^^^
  expected target=PATH`,
  ],
  [
    "a mount's keys fit its type",
    `FROM debian:bookworm
RUN --mount=type=tmpfs,target=/a,sharing=locked b
`,
    `shop.recipe:2:34: unknown key "sharing" in a mount of type tmpfs
  2 | RUN --mount=type=tmpfs,target=/a,sharing=locked b
    |                                  ^^^^^^^^^^^^^^
  expected type, target, size`,
  ],
  [
    "a key has a value",
    `FROM debian:bookworm
RUN --mount=type=cache,target b
`,
    `shop.recipe:2:24: "target" in --mount has no value
  2 | RUN --mount=type=cache,target b
    |                        ^^^^^^
  expected target=VALUE`,
  ],
  [
    "a key stands once",
    `FROM debian:bookworm
RUN --mount=target=/a,dst=/b c
`,
    `shop.recipe:2:23: "target" given twice in --mount
  2 | RUN --mount=target=/a,dst=/b c
    |                       ^^^^^^`,
  ],
  [
    "two mounts do not share a target",
    `FROM debian:bookworm
RUN --mount=target=/a --mount=type=tmpfs,target=/a/ b
`,
    `shop.recipe:2:31: two mounts on /a
  2 | RUN --mount=target=/a --mount=type=tmpfs,target=/a/ b
    |                               ^^^^^^^^^^^^^^^^^^^^^`,
  ],
  [
    "a bind source stays in the context",
    `FROM debian:bookworm
RUN --mount=type=bind,source=../a,target=/b c
`,
    `shop.recipe:2:23: mount source "../a" leaves the context
  2 | RUN --mount=type=bind,source=../a,target=/b c
    |                       ^^^^^^^^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context`,
  ],
  [
    "a mount does not cover the root",
    `FROM debian:bookworm
RUN --mount=type=tmpfs,target=/ c
`,
    `shop.recipe:2:24: a mount cannot cover the root directory
  2 | RUN --mount=type=tmpfs,target=/ c
    |                        ^^^^^^^^`,
  ],
  [
    "ssh mounts are secrets here",
    `FROM debian:bookworm
RUN --mount=type=ssh c
`,
    `shop.recipe:2:13: mounts of type ssh are not supported
  2 | RUN --mount=type=ssh c
    |             ^^^^^^^^
  hint: give the key as a secret: --mount=type=secret,id=key,target=/root/.ssh/id_ed25519`,
  ],
  [
    "a secret has an id",
    `FROM debian:bookworm
RUN --mount=type=secret,required c
`,
    `shop.recipe:2:13: the secret has no usable id
  2 | RUN --mount=type=secret,required c
    |             ^^^^^^^^^^^^^^^^^^^^
  expected id=NAME`,
  ],
  [
    "sharing has three values",
    `FROM debian:bookworm
RUN --mount=type=cache,target=/a,sharing=lock c
`,
    `shop.recipe:2:34: bad sharing "lock"
  2 | RUN --mount=type=cache,target=/a,sharing=lock c
    |                                  ^^^^^^^^^^^^
  expected shared, private or locked
  did you mean locked?`,
  ],
  [
    "a size has a unit that is known",
    `FROM debian:bookworm
RUN --mount=type=tmpfs,target=/a,size=1x c
`,
    `shop.recipe:2:34: bad size "1x"
  2 | RUN --mount=type=tmpfs,target=/a,size=1x c
    |                                  ^^^^^^^
  expected bytes, or a size such as 64m`,
  ],
];

const JSONform: readonly Case[] = [
  [
    "single quotes are not JSON",
    `FROM debian:bookworm
CMD ['node', 'a.mjs']
`,
    `shop.recipe:2:6: bad JSON array: got "'node'"
  2 | CMD ['node', 'a.mjs']
    |      ^^^^^^
  expected a string in double quotes
  hint: JSON strings stand in double quotes, not in single ones`,
  ],
  [
    "a comma is missing",
    `FROM debian:bookworm
CMD ["node" "a.mjs"]
`,
    `shop.recipe:2:13: bad JSON array: got "\\""
  2 | CMD ["node" "a.mjs"]
    |             ^
  expected , or ] after a string`,
  ],
  [
    "a comma is too many",
    `FROM debian:bookworm
CMD ["node",]
`,
    `shop.recipe:2:13: bad JSON array: got "]"
  2 | CMD ["node",]
    |             ^
  expected a string after ,`,
  ],
  [
    "the bracket is missing",
    `FROM debian:bookworm
ENTRYPOINT ["node", "a.mjs"
`,
    `shop.recipe:2:28: bad JSON array: it ends too early
  2 | ENTRYPOINT ["node", "a.mjs"
    |                            ^
  expected , or ] after a string`,
  ],
  [
    "elements are strings",
    `FROM debian:bookworm
CMD ["node", 80]
`,
    `shop.recipe:2:14: bad JSON array: got "80"
  2 | CMD ["node", 80]
    |              ^^
  expected a string in double quotes`,
  ],
  [
    "a string ends",
    `FROM debian:bookworm
CMD ["node]
`,
    `shop.recipe:2:6: bad JSON array: got "\\""
  2 | CMD ["node]
    |      ^
  expected a second "`,
  ],
  [
    "a string has valid escapes",
    `FROM debian:bookworm
CMD ["a\\x"]
`,
    `shop.recipe:2:6: bad JSON array: got "\\"a\\\\x\\""
  2 | CMD ["a\\x"]
    |      ^^^^^
  expected a JSON string without control characters, with \\\\ for a backslash`,
  ],
  [
    "text behind the array",
    `FROM debian:bookworm
RUN ["a"] && b
`,
    `shop.recipe:2:11: unexpected "&& b" after the JSON array
  2 | RUN ["a"] && b
    |           ^^^^
  expected the end of the instruction`,
  ],
  [
    "a command has a program",
    `FROM debian:bookworm
RUN []
`,
    `shop.recipe:2:5: the command is empty
  2 | RUN []
    |     ^^
  expected a program and its arguments`,
  ],
  [
    "SHELL is an array",
    `FROM debian:bookworm
SHELL /bin/bash -c
`,
    `shop.recipe:2:7: SHELL takes a JSON array
  2 | SHELL /bin/bash -c
    |       ^^^^^^^^^^^^
  expected a JSON array: ["/bin/bash", "-euo", "pipefail", "-c"]`,
  ],
];

const heredocs: readonly Case[] = [
  [
    "an open heredoc names the line where it starts",
    `FROM debian:bookworm
RUN a && \\
  cat <<EOF > /b
text
RUN c
`,
    `shop.recipe:3:7: heredoc "EOF" that starts in line 3 has no end
  3 |   cat <<EOF > /b
    |       ^^^^^
  expected a line "EOF" below it, with nothing before or after`,
  ],
  [
    "a delimiter with blanks around it is none",
    `FROM debian:bookworm
RUN cat <<EOF
a
 EOF
`,
    `shop.recipe:2:9: heredoc "EOF" that starts in line 2 has no end
  2 | RUN cat <<EOF
    |         ^^^^^
  expected a line "EOF" below it, with nothing before or after
  hint: line 4 has blanks around it; <<-EOF lets tabs stand before it`,
  ],
  [
    "an empty script is refused",
    `FROM debian:bookworm
RUN <<EOF

EOF
`,
    `shop.recipe:2:5: the heredoc has no lines to run
  2 | RUN <<EOF
    |     ^^^^^
  expected commands between it and its delimiter`,
  ],
  [
    "a script with an interpreter is of RUN alone",
    `FROM debian:bookworm
MIGRATE --timeout=5s <<EOF
#!/usr/bin/perl
EOF
`,
    `shop.recipe:2:22: a heredoc that starts with #! is of RUN alone
  2 | MIGRATE --timeout=5s <<EOF
    |                      ^^^^^
  expected lines for a shell, or a program that COPY brings`,
  ],
  [
    "an instruction that would drop its lines takes no heredoc",
    `FROM debian:bookworm
ENV TEXT=<<EOF
a
EOF
`,
    `shop.recipe:2:10: ENV takes no heredoc
  2 | ENV TEXT=<<EOF
    |          ^^^^^
  expected its words on the line; quotes keep << as it is`,
  ],
  [
    "COPY writes the delimiter without a blank",
    `FROM debian:bookworm
COPY << a /b
`,
    `shop.recipe:2:6: "<<" is not a heredoc
  2 | COPY << a /b
    |      ^^
  expected <<NAME with no blank between, and a line NAME below`,
  ],
  [
    "a heredoc is no path",
    `FROM debian:bookworm
COPY <<a/b /c/
x
a/b
`,
    `shop.recipe:2:6: heredoc "a/b" cannot be a file's name
  2 | COPY <<a/b /c/
    |      ^^^^^
  expected a name without /`,
  ],
  [
    "a variable in a heredoc of COPY must be known, or be kept by quotes",
    `FROM debian:bookworm
COPY <<nginx.conf /etc/
server {
  try_files $uri;
}
nginx.conf
`,
    `shop.recipe:4:13: unknown variable "uri"
  4 |   try_files $uri;
    |             ^^^^
  expected an ARG or ENV above
  hint: quote the heredoc's delimiter to keep $ as it is`,
  ],
];

const paths: readonly Case[] = [
  [
    "COPY does not leave the context",
    `FROM debian:bookworm
COPY a/../../b /c
`,
    `shop.recipe:2:6: COPY source "a/../../b" leaves the context
  2 | COPY a/../../b /c
    |      ^^^^^^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context`,
  ],
  [
    "COPY takes no absolute source",
    `FROM debian:bookworm
COPY /etc/passwd /c
`,
    `shop.recipe:2:6: COPY source "/etc/passwd" is absolute
  2 | COPY /etc/passwd /c
    |      ^^^^^^^^^^^
  expected a path relative to the context
  did you mean etc/passwd?`,
  ],
  [
    "a variable cannot lead out of the context",
    `FROM debian:bookworm
ARG D=..
COPY \${D}/b /c
`,
    `shop.recipe:3:6: COPY source "../b" leaves the context
  3 | COPY \${D}/b /c
    |      ^^^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context`,
  ],
  [
    "COPY does not fetch",
    `FROM debian:bookworm
COPY https://example.org/a /c
`,
    `shop.recipe:2:6: COPY source "https://example.org/a" is not a file
  2 | COPY https://example.org/a /c
    |      ^^^^^^^^^^^^^^^^^^^^^
  expected a path inside the context
  hint: fetch it in BOOTSTRAP: RUN curl -fsSLo FILE URL && echo 'SHA256  FILE' | sha256sum -c`,
  ],
  [
    "ADD does not fetch",
    `FROM debian:bookworm
ADD git@example.org:a/b.git /c
`,
    `shop.recipe:2:5: ADD source "git@example.org:a/b.git" is not a file
  2 | ADD git@example.org:a/b.git /c
    |     ^^^^^^^^^^^^^^^^^^^^^^^
  expected a path inside the context
  hint: fetch it in BOOTSTRAP: RUN curl -fsSLo FILE URL && echo 'SHA256  FILE' | sha256sum -c`,
  ],
  [
    "ADD does not unpack",
    `FROM debian:bookworm
ADD vendor.tar.gz /c
`,
    `shop.recipe:2:5: ADD does not unpack archives
  2 | ADD vendor.tar.gz /c
    |     ^^^^^^^^^^^^^
  hint: RUN --mount=type=bind,source=FILE,target=/tmp/archive tar -xf /tmp/archive -C DIRECTORY`,
  ],
  [
    "a relative destination needs a WORKDIR",
    `FROM debian:bookworm
COPY a b
`,
    `shop.recipe:2:8: destination "b" is relative, but no WORKDIR is set
  2 | COPY a b
    |        ^
  expected an absolute path, or a WORKDIR above
  did you mean /b?`,
  ],
  [
    "several sources need a directory",
    `FROM debian:bookworm
COPY a b /c
`,
    `shop.recipe:2:10: several sources for one destination "/c"
  2 | COPY a b /c
    |          ^^
  expected a directory, written with a slash at its end
  did you mean /c/?`,
  ],
  [
    "a path is not empty",
    `FROM debian:bookworm
COPY "" /c
`,
    `shop.recipe:2:6: path is empty
  2 | COPY "" /c
    |      ^^`,
  ],
  [
    "a quote is closed",
    `FROM debian:bookworm
COPY "a /c
`,
    `shop.recipe:2:6: quote " is not closed
  2 | COPY "a /c
    |      ^
  expected a second "`,
  ],
  [
    "DATA does not cover the system",
    `FROM debian:bookworm
DATA /proc/x
`,
    `shop.recipe:2:6: path /proc/x belongs to the system
  2 | DATA /proc/x
    |      ^^^^^^^
  expected a directory of the app, such as /var/lib/shop`,
  ],
  [
    "DATA is absolute",
    `FROM debian:bookworm
DATA var
`,
    `shop.recipe:2:6: path "var" is relative
  2 | DATA var
    |      ^^^
  expected an absolute path
  did you mean /var?`,
  ],
  [
    "a template stays in the context",
    `FROM debian:bookworm
CONFIG /a --template=/etc/b
`,
    `shop.recipe:2:22: template "/etc/b" is absolute
  2 | CONFIG /a --template=/etc/b
    |                      ^^^^^^
  expected a path relative to the context
  did you mean etc/b?`,
  ],
];

const variables: readonly Case[] = [
  [
    "an unknown variable in a path is refused, with what is near",
    `FROM debian:bookworm
ENV APP_DIR=/a
WORKDIR $APP_DRI
`,
    `shop.recipe:3:9: unknown variable "APP_DRI"
  3 | WORKDIR $APP_DRI
    |         ^^^^^^^^
  expected an ARG or ENV above
  did you mean $APP_DIR?`,
  ],
  [
    "an ARG above FROM must be repeated",
    `ARG V=1
FROM debian:bookworm
USER $V
`,
    `shop.recipe:3:6: unknown variable "V"
  3 | USER $V
    |      ^^
  expected an ARG or ENV above
  hint: write "ARG V" again in this section: an ARG ends where the next FROM starts`,
  ],
  [
    "a substitution is closed",
    `FROM debian:bookworm
ENV A=\${B
`,
    `shop.recipe:2:7: \${ is not closed
  2 | ENV A=\${B
    |       ^^
  expected }`,
  ],
  [
    "a substitution has a name",
    `FROM debian:bookworm
ENV A=\${}
`,
    `shop.recipe:2:7: substitution without a name
  2 | ENV A=\${}
    |       ^^^
  expected a name and }`,
  ],
  [
    "an unknown substitution",
    `FROM debian:bookworm
ENV A=\${B^^}
`,
    `shop.recipe:2:10: unknown substitution "^" after "B"
  2 | ENV A=\${B^^}
    |          ^
  expected } or one of :- - :+ + :? ? # ## % %% / //`,
  ],
  [
    "a message of the recipe's own",
    `FROM debian:bookworm
WORKDIR \${DIR:?give --build-arg DIR}
`,
    `shop.recipe:2:9: variable "DIR" is not set: give --build-arg DIR
  2 | WORKDIR \${DIR:?give --build-arg DIR}
    |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^`,
  ],
  [
    "a variable's name",
    `FROM debian:bookworm
ENV 1A=b
`,
    `shop.recipe:2:5: bad variable name "1A"
  2 | ENV 1A=b
    |     ^^
  expected a letter or _, then letters, digits, _ . and -`,
  ],
  [
    "an ARG's name is one that a substitution can read, HEALTHCHECK NONE stands alone",
    `FROM debian:bookworm
ARG a-b=c
HEALTHCHECK NONE CMD true
`,
    `shop.recipe:2:5: bad variable name "a-b"
  2 | ARG a-b=c
    |     ^^^
  expected a letter or _, then letters, digits and _

shop.recipe:3:18: unexpected "CMD true" after NONE
  3 | HEALTHCHECK NONE CMD true
    |                  ^^^^^^^^
  expected the end of the instruction

2 problems in shop.recipe`,
  ],
  [
    "a pair has its =",
    `FROM debian:bookworm
ENV A=1 B
`,
    `shop.recipe:2:9: "B" has no =
  2 | ENV A=1 B
    |         ^
  expected name=value
  hint: put quotes around a value with blanks`,
  ],
  [
    "the builder's label is the builder's",
    `FROM debian:bookworm
LABEL dev.ostler.app={}
`,
    `shop.recipe:2:7: label "dev.ostler.app" is written by the builder
  2 | LABEL dev.ostler.app={}
    |       ^^^^^^^^^^^^^^
  hint: declare LISTEN, HEALTH, DATA and the like instead`,
  ],
];

const values: readonly Case[] = [
  [
    "BOOT needs an initrd",
    `FROM debian:bookworm
BOOT /boot/vmlinuz
`,
    `shop.recipe:2:19: BOOT is not complete
  2 | BOOT /boot/vmlinuz
    |                   ^
  expected --initrd=PATH, such as --initrd=/boot/initrd.img`,
  ],
  [
    "BOOT stands once",
    `FROM debian:bookworm
BOOT /boot/a --initrd=/boot/i
BOOT /boot/b --initrd=/boot/i
`,
    `shop.recipe:3:1: second BOOT: the first is in line 2
  3 | BOOT /boot/b --initrd=/boot/i
    | ^^^^
  expected one BOOT`,
  ],
  [
    "BOOT takes paths of the image",
    `FROM debian:bookworm
BOOT vmlinuz --initrd=/boot/i
`,
    `shop.recipe:2:6: path "vmlinuz" is relative
  2 | BOOT vmlinuz --initrd=/boot/i
    |      ^^^^^^^
  expected an absolute path of the image`,
  ],
  [
    "a command line does not choose another root",
    `FROM debian:bookworm
BOOT /boot/a --initrd=/boot/i --cmdline="quiet panic=0"
`,
    `shop.recipe:2:41: command line sets "panic=0", which the builder decides
  2 | BOOT /boot/a --initrd=/boot/i --cmdline="quiet panic=0"
    |                                         ^^^^^^^^^^^^^^^
  expected words such as console=ttyS0
  hint: the root is the image's own layers, and a kernel that panics has to reset the machine`,
  ],
  [
    "LISTEN takes a port",
    `FROM debian:bookworm
LISTEN http
`,
    `shop.recipe:2:8: bad port "http"
  2 | LISTEN http
    |        ^^^^
  expected a whole number from 1 to 65535`,
  ],
  [
    "a port is at most 65535",
    `FROM debian:bookworm
LISTEN 127.0.0.1:65536
`,
    `shop.recipe:2:8: bad port "65536"
  2 | LISTEN 127.0.0.1:65536
    |        ^^^^^^^^^^^^^^^
  expected a whole number from 1 to 65535`,
  ],
  [
    "LISTEN is TCP",
    `FROM debian:bookworm
LISTEN 53/udp
`,
    `shop.recipe:2:8: LISTEN takes TCP ports alone, got "53/udp"
  2 | LISTEN 53/udp
    |        ^^^^^^
  expected a port such as 8080, or an address and a port such as 127.0.0.1:8080
  did you mean LISTEN 53?`,
  ],
  [
    "LISTEN takes addresses, not names",
    `FROM debian:bookworm
LISTEN localhost:80
`,
    `shop.recipe:2:8: bad address "localhost"
  2 | LISTEN localhost:80
    |        ^^^^^^^^^^^^
  expected an IP address, IPv6 in [ ]
  did you mean 127.0.0.1:80?`,
  ],
  [
    "LISTEN takes one socket",
    `FROM debian:bookworm
LISTEN 80 81
`,
    `shop.recipe:2:11: LISTEN takes one word
  2 | LISTEN 80 81
    |           ^^
  expected a port such as 8080, or an address and a port such as 127.0.0.1:8080
  hint: put quotes around a value with blanks`,
  ],
  [
    "a port is listened on once",
    `FROM debian:bookworm
LISTEN 8080
LISTEN 8080
`,
    `shop.recipe:3:8: port 8080 is listened on already, by LISTEN 0.0.0.0:8080
  3 | LISTEN 8080
    |        ^^^^`,
  ],
  [
    "start-first needs sockets, a check, an answer that is the new version's own, and data that can be shared",
    `FROM debian:bookworm
SWITCH start-first
DATA /srv
`,
    `shop.recipe:2:1: start-first needs LISTEN
  2 | SWITCH start-first
    | ^^^^^^
  expected LISTEN: two versions cannot bind one port

shop.recipe:2:1: start-first needs HEALTH
  2 | SWITCH start-first
    | ^^^^^^
  expected a check that proves the new version

shop.recipe:2:1: both versions would write /srv
  2 | SWITCH start-first
    | ^^^^^^
  expected DATA /srv --shared, if the app can bear that, or stop-first

3 problems in shop.recipe`,
  ],
  [
    "a check on a shared port proves no version",
    `FROM debian:bookworm
SWITCH start-first
LISTEN 80
HEALTH http://localhost/healthz
`,
    `shop.recipe:2:1: either version answers HEALTH on port 80
  2 | SWITCH start-first
    | ^^^^^^
  expected --probe=/run/NAME.sock, a unix socket on which the app answers the same`,
  ],
  [
    "SWITCH knows two orders",
    `FROM debian:bookworm
SWITCH start
`,
    `shop.recipe:2:8: bad order "start"
  2 | SWITCH start
    |        ^^^^^
  expected stop-first or start-first`,
  ],
  [
    "a job has nothing of a service, wherever that stands",
    `FROM debian:bookworm
LISTEN 8080
KIND job
HEALTHCHECK NONE
HEALTH tcp://localhost:8080
CONFIG /etc/job.conf --template=job.conf --reload=SIGHUP
DRAIN ["/drain"]
`,
    `shop.recipe:2:1: LISTEN in a job: a job takes no connections
  2 | LISTEN 8080
    | ^^^^^^
  expected KIND service, or no LISTEN

shop.recipe:5:1: HEALTH in a job: a job is judged by its exit code
  5 | HEALTH tcp://localhost:8080
    | ^^^^^^
  expected KIND service, or no HEALTH

shop.recipe:6:1: CONFIG --reload in a job: each run reads its files anew
  6 | CONFIG /etc/job.conf --template=job.conf --reload=SIGHUP
    | ^^^^^^
  expected KIND service, or no CONFIG --reload

shop.recipe:7:1: DRAIN in a job: a job is never stopped for the next version: that waits for its end
  7 | DRAIN ["/drain"]
    | ^^^^^
  expected KIND service, or no DRAIN

4 problems in shop.recipe`,
  ],
  [
    "a file made from config does not lie in the data",
    `FROM debian:bookworm
CONFIG /var/lib/shop/etc/a.conf --template=a.conf
CONFIG /var/lib/shopping.conf --template=b.conf
DATA /var/lib/shop
`,
    `shop.recipe:2:1: /var/lib/shop/etc/a.conf lies in the app's data: a snapshot would hold it
  2 | CONFIG /var/lib/shop/etc/a.conf --template=a.conf
    | ^^^^^^
  expected a path outside /var/lib/shop`,
  ],
  [
    "a unit is of a host alone, and a host gets no signal",
    `FROM debian:bookworm
CONFIG /etc/a.conf --template=a.conf --unit=a
`,
    `shop.recipe:2:1: --unit is of a host alone
  2 | CONFIG /etc/a.conf --template=a.conf --unit=a
    | ^^^^^^
  expected --reload=SIGNAL`,
  ],
  [
    "a host has units, and no process that gets a signal",
    `FROM debian:bookworm
BOOT /boot/vmlinuz --initrd=/boot/initrd.img
CONFIG /etc/a.conf --template=a.conf --reload=SIGHUP
CONFIG /etc/b.conf --template=b.conf --unit=b/c
CONFIG /etc/hostd/serve.env --template=c.conf --unit=hostd
`,
    `shop.recipe:3:1: a host has no process that gets a signal
  3 | CONFIG /etc/a.conf --template=a.conf --reload=SIGHUP
    | ^^^^^^
  expected --unit=NAME

shop.recipe:4:45: bad unit "b/c"
  4 | CONFIG /etc/b.conf --template=b.conf --unit=b/c
    |                                             ^^^
  expected a systemd unit such as systemd-timesyncd

shop.recipe:5:54: "hostd" tells the others and cannot be told
  5 | CONFIG /etc/hostd/serve.env --template=c.conf --unit=hostd
    |                                                      ^^^^^
  expected no --unit: hostd reads it at its next start

3 problems in shop.recipe`,
  ],
  [
    "kinds of other systems are not supported, and what does their work is said",
    `FROM debian:bookworm
KIND autoscale
`,
    `shop.recipe:2:6: KIND autoscale is not supported
  2 | KIND autoscale
    |      ^^^^^^^^^
  expected service or job
  hint: a node runs each app once: more of them are more nodes, which somebody else starts`,
  ],
  [
    "a kind that nobody knows",
    `FROM debian:bookworm
KIND jobs
`,
    `shop.recipe:2:6: bad kind "jobs"
  2 | KIND jobs
    |      ^^^^
  expected service or job
  did you mean job?`,
  ],
  [
    "a kind is said once, and a service has all the time",
    `FROM debian:bookworm
KIND job
KIND service
KIND service --timeout=1h
`,
    `shop.recipe:3:1: second KIND: the first is in line 2
  3 | KIND service
    | ^^^^
  expected one KIND

shop.recipe:4:1: second KIND: the first is in line 2
  4 | KIND service --timeout=1h
    | ^^^^
  expected one KIND

2 problems in shop.recipe`,
  ],
  [
    "a probe lies where no other version sees it",
    `FROM debian:bookworm
SWITCH start-first --probe=/var/lib/shop.sock
LISTEN 80
HEALTH tcp://localhost:80
`,
    `shop.recipe:2:28: bad path "/var/lib/shop.sock"
  2 | SWITCH start-first --probe=/var/lib/shop.sock
    |                            ^^^^^^^^^^^^^^^^^^
  expected a unix socket that the app makes below /run or /tmp, which no two versions share, 80 characters`,
  ],
  [
    "LIMIT knows four limits",
    `FROM debian:bookworm
LIMIT mem=1G
`,
    `shop.recipe:2:7: bad limit "mem"
  2 | LIMIT mem=1G
    |       ^^^^^^
  expected memory, cpu, tasks or files`,
  ],
  [
    "a limit has its own unit",
    `FROM debian:bookworm
LIMIT memory=50% cpu=2
`,
    `shop.recipe:2:7: bad memory "50%"
  2 | LIMIT memory=50% cpu=2
    |       ^^^^^^^^^^
  expected bytes from 8M to 16T, such as 512M or 2G`,
  ],
  [
    "a limit is set once",
    `FROM debian:bookworm
LIMIT tasks=5
LIMIT tasks=6
`,
    `shop.recipe:3:7: second limit of tasks
  3 | LIMIT tasks=6
    |       ^^^^^^^`,
  ],
  [
    "every address includes one address",
    `FROM debian:bookworm
LISTEN 8080
LISTEN 127.0.0.1:8080
`,
    `shop.recipe:3:8: port 8080 is listened on already, by LISTEN 0.0.0.0:8080
  3 | LISTEN 127.0.0.1:8080
    |        ^^^^^^^^^^^^^^`,
  ],
  [
    "HEALTH is plain http",
    `FROM debian:bookworm
HEALTH https://localhost/
`,
    `shop.recipe:2:8: bad health check "https://localhost/"
  2 | HEALTH https://localhost/
    |        ^^^^^^^^^^^^^^^^^^
  expected http://HOST:PORT/PATH, tcp://HOST:PORT, file:/PATH, unit:NAME or a JSON array: ["/bin/check"]
  hint: hostd asks on the node itself: use plain http, or an exec check that speaks TLS`,
  ],
  [
    "only a file check has an age",
    `FROM debian:bookworm
HEALTH tcp://a:1 --max-age=1m
`,
    `shop.recipe:2:28: --max-age is of file checks alone
  2 | HEALTH tcp://a:1 --max-age=1m
    |                            ^^
  expected HEALTH file:/PATH --max-age=1m`,
  ],
  [
    "a file check has an absolute path",
    `FROM debian:bookworm
HEALTH file:run/ready
`,
    `shop.recipe:2:8: bad path "run/ready"
  2 | HEALTH file:run/ready
    |        ^^^^^^^^^^^^^^
  expected file:/PATH`,
  ],
  [
    "HEALTH has a target",
    `FROM debian:bookworm
HEALTH --interval=1s
`,
    `shop.recipe:2:21: HEALTH is not complete
  2 | HEALTH --interval=1s
    |                     ^
  expected http://HOST:PORT/PATH, tcp://HOST:PORT, file:/PATH, unit:NAME or a JSON array: ["/bin/check"]`,
  ],
  [
    "HEALTH has one target",
    `FROM debian:bookworm
HEALTH tcp://a:1 tcp://b:2
`,
    `shop.recipe:2:18: unexpected "tcp://b:2" after "tcp://a:1"
  2 | HEALTH tcp://a:1 tcp://b:2
    |                  ^^^^^^^^^
  expected http://HOST:PORT/PATH, tcp://HOST:PORT, file:/PATH, unit:NAME or a JSON array: ["/bin/check"]`,
  ],
  [
    "CONFIG is reloaded by a signal that programs take for that",
    `FROM debian:bookworm
CONFIG /etc/a --template=a --reload=hup
`,
    `shop.recipe:2:37: bad signal "hup"
  2 | CONFIG /etc/a --template=a --reload=hup
    |                                     ^^^
  expected one of SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH
  did you mean SIGHUP?`,
  ],
  [
    "a duration has a unit",
    `FROM debian:bookworm
HEALTH tcp://a:1 --interval=5
`,
    `shop.recipe:2:29: bad duration "5"
  2 | HEALTH tcp://a:1 --interval=5
    |                             ^
  expected a duration such as 500ms, 1s or 2m
  did you mean 5s?`,
  ],
  [
    "a duration is above 0",
    `FROM debian:bookworm
HEALTH tcp://a:1 --interval=0s
`,
    `shop.recipe:2:29: duration 0s is too short
  2 | HEALTH tcp://a:1 --interval=0s
    |                             ^^
  expected at least 1ms`,
  ],
  [
    "a duration is at most a day",
    `FROM debian:bookworm
MIGRATE --timeout=25h ["/m"]
`,
    `shop.recipe:2:19: duration 25h is too long
  2 | MIGRATE --timeout=25h ["/m"]
    |                   ^^^
  expected at most 24h`,
  ],
  [
    "HEALTHCHECK is CMD or NONE",
    `FROM debian:bookworm
HEALTHCHECK curl localhost
`,
    `shop.recipe:2:13: unexpected "curl" in HEALTHCHECK
  2 | HEALTHCHECK curl localhost
    |             ^^^^
  expected CMD and a command, or NONE`,
  ],
  [
    "DATA formats are whole numbers",
    `FROM debian:bookworm
DATA /d --format=2.1
`,
    `shop.recipe:2:18: bad data format "2.1"
  2 | DATA /d --format=2.1
    |                  ^^^
  expected a whole number from 1 to 1000000`,
  ],
  [
    "DATA reads is a semver range",
    `FROM debian:bookworm
DATA /d --reads="between 1 and 2"
`,
    `shop.recipe:2:17: bad range "between 1 and 2"
  2 | DATA /d --reads="between 1 and 2"
    |                 ^^^^^^^^^^^^^^^^^
  expected a semver range of formats, such as ">=1 <3"`,
  ],
  [
    "DATA reads what it writes",
    `FROM debian:bookworm
DATA /d --format=3 --reads=">=1 <3"
`,
    `shop.recipe:2:28: range ">=1 <3" leaves out format 3, which this image writes
  2 | DATA /d --format=3 --reads=">=1 <3"
    |                            ^^^^^^^^
  expected a range that holds 3`,
  ],
  [
    "DATA stands once",
    `FROM debian:bookworm
DATA /d
DATA /e
`,
    `shop.recipe:3:6: second DATA: the first is /d
  3 | DATA /e
    |      ^^
  expected one DATA path`,
  ],
  [
    "CONFIG needs its template",
    `FROM debian:bookworm
CONFIG /etc/a
`,
    `shop.recipe:2:14: CONFIG is not complete
  2 | CONFIG /etc/a
    |              ^
  expected --template=FILE, a file in the context`,
  ],
  [
    "CONFIG makes a file once",
    `FROM debian:bookworm
CONFIG /etc/a --template=a
CONFIG /etc/../etc/a --template=b
`,
    `shop.recipe:3:8: second CONFIG of /etc/a
  3 | CONFIG /etc/../etc/a --template=b
    |        ^^^^^^^^^^^^^`,
  ],
  [
    "a hook stands once",
    `FROM debian:bookworm
MIGRATE ["/a"]
MIGRATE ["/b"]
`,
    `shop.recipe:3:1: second MIGRATE: the first is in line 2
  3 | MIGRATE ["/b"]
    | ^^^^^^^
  expected one command for each hook`,
  ],
  [
    "what is resumed must be made quiet",
    `FROM debian:bookworm
RESUME ["/a"]
`,
    `shop.recipe:2:1: RESUME without QUIESCE
  2 | RESUME ["/a"]
    | ^^^^^^
  expected a QUIESCE hook too`,
  ],
  [
    "a suite's name is unique",
    `FROM debian:bookworm
TEST --name=a ["/a"]
TEST --name=a ["/b"]
`,
    `shop.recipe:3:13: second suite "a"
  3 | TEST --name=a ["/b"]
    |             ^`,
  ],
  [
    "a suite's name is a word",
    `FROM debian:bookworm
TEST --name=A ["/a"]
`,
    `shop.recipe:2:13: bad suite name "A"
  2 | TEST --name=A ["/a"]
    |             ^
  expected lower-case letters, digits and -`,
  ],
  [
    "flags on both sides are one set",
    `FROM debian:bookworm
TEST --name=a ["/a"] --name=b
`,
    `shop.recipe:2:29: flag --name given twice
  2 | TEST --name=a ["/a"] --name=b
    |                             ^`,
  ],
  [
    "EXPOSE takes ports",
    `FROM debian:bookworm
EXPOSE web
`,
    `shop.recipe:2:8: bad port "web"
  2 | EXPOSE web
    |        ^^^
  expected a port such as 8080, 53/udp or 8000-8010`,
  ],
  [
    "a range of ports rises",
    `FROM debian:bookworm
EXPOSE 90-80
`,
    `shop.recipe:2:8: port range "90-80" ends before it starts
  2 | EXPOSE 90-80
    |        ^^^^^`,
  ],
  [
    "a signal is known",
    `FROM debian:bookworm
STOPSIGNAL SIGTREM
`,
    `shop.recipe:2:12: unknown signal "SIGTREM"
  2 | STOPSIGNAL SIGTREM
    |            ^^^^^^^
  expected a signal such as SIGTERM or SIGRTMIN+3, or a number from 1 to 64
  did you mean SIGTERM?`,
  ],
  [
    "USER is a user",
    `FROM debian:bookworm
USER "a b"
`,
    `shop.recipe:2:6: bad owner "a b"
  2 | USER "a b"
    |      ^^^^^
  expected user or user:group, as names or numbers`,
  ],
  [
    "WORKDIR takes one path",
    `FROM debian:bookworm
WORKDIR /a b
`,
    `shop.recipe:2:12: WORKDIR takes one word
  2 | WORKDIR /a b
    |            ^
  expected an absolute path
  hint: put quotes around a value with blanks`,
  ],
  [
    "VOLUME is DATA here",
    `FROM debian:bookworm
VOLUME /data
`,
    `shop.recipe:2:1: VOLUME is not supported
  2 | VOLUME /data
    | ^^^^^^
  hint: an image is read-only: declare what the app writes with DATA /path, which is kept, versioned and snapshotted`,
  ],
  [
    "ONBUILD has no meaning",
    `FROM debian:bookworm
ONBUILD RUN a
`,
    `shop.recipe:2:1: ONBUILD is not supported
  2 | ONBUILD RUN a
    | ^^^^^^^
  hint: write the instruction into the recipe that starts FROM this image`,
  ],
];

const text: readonly Case[] = [
  [
    "carets stand under wide characters, behind tabs and combining ones",
    `FROM debian:bookworm
ENV\tA="日本語" e\u0301=2 😀=3
`,
    `shop.recipe:2:13: bad variable name "e\u0301"
  2 | ENV A="日本語" e\u0301=2 😀=3
    |                ^
  expected a letter or _, then letters, digits, _ . and -`,
  ],
  [
    "a control character cannot reach the terminal",
    `FROM debian:bookworm
RUN\x1b[31m a
`,
    `shop.recipe:2:1: unknown instruction "RUN\\u001b[31m"
  2 | RUN�[31m a
    | ^^^^^^^^
  expected one of ADD, ARG, BOOT, BOOTSTRAP, CMD, CONFIG, COPY, DATA, DEPLOY, DRAIN, ENTRYPOINT, ENV, EXPOSE, FROM, HEALTH, HEALTHCHECK, KIND, LABEL, LIMIT, LISTEN, MAINTAINER, MIGRATE, ONBUILD, QUIESCE, READY, RESUME, REVERTED, RUN, SHELL, STOPSIGNAL, SWITCH, TEST, USER, VOLUME, WORKDIR`,
  ],
  [
    "a long line is cut around the word",
    `FROM debian:bookworm
COPY file0 file1 file2 file3 file4 file5 file6 file7 file8 file9 file10 file11 file12 file13 file14 file15 file16 file17 file18 file19 file20 file21 file22 file23 file24 file25 file26 file27 file28 file29 file30 file31 file32 file33 file34 file35 file36 file37 file38 file39 file40 file41 file42 file43 file44 file45 file46 file47 file48 file49 file50 file51 file52 file53 file54 file55 file56 file57 file58 file59 ../x /dest/
`,
    `shop.recipe:2:416: COPY source "../x" leaves the context
  2 | …le54 file55 file56 file57 file58 file59 ../x /dest/
    |                                          ^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context`,
  ],
  [
    "lines of Windows are read",
    `FROM debian:bookworm\r
RUNX a\r
`,
    `shop.recipe:2:1: unknown instruction "RUNX"
  2 | RUNX a
    | ^^^^
  expected an instruction
  did you mean RUN?`,
  ],
  [
    "a byte order mark is no character",
    `\ufeffFROMM scratch
`,
    `shop.recipe:1:1: unknown instruction "FROMM"
  1 | FROMM scratch
    | ^^^^^
  expected an instruction
  did you mean FROM?`,
  ],
  [
    "a NUL byte is not text",
    `FROM debian:bookworm
RUN a\0b
`,
    `shop.recipe:2:6: NUL byte
  2 | RUN a�b
    |      ^
  expected a text file in UTF-8`,
  ],
  [
    "the column is counted in the line where the word stands, not in the joined one",
    `FROM debian:bookworm
COPY a \\
  # comment
  ../b \\
  /c/
`,
    `shop.recipe:4:3: COPY source "../b" leaves the context
  4 |   ../b \\
    |   ^^^^
  expected a path inside the context
  hint: move the file into the directory that holds the recipe, or give another --context`,
  ],
  [
    "the escape character is \\ or `",
    `# escape=x
FROM scratch
`,
    `shop.recipe:1:10: unknown escape character "x"
  1 | # escape=x
    |          ^
  expected \\ or \``,
  ],
  [
    "a directive stands once",
    `# escape=\`
# ESCAPE=\`
FROM scratch
`,
    `shop.recipe:2:1: directive "escape" given twice
  2 | # ESCAPE=\`
    | ^^^^^^^^^^`,
  ],
];

describe("refused: instructions", () => {
  test.each(instructions)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: sections", () => {
  test.each(sections)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: bases", () => {
  test.each(bases)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: flags", () => {
  test.each(flags)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: mounts", () => {
  test.each(mounts)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: JSON form", () => {
  test.each(JSONform)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: heredocs", () => {
  test.each(heredocs)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: paths", () => {
  test.each(paths)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: variables", () => {
  test.each(variables)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: values", () => {
  test.each(values)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});

describe("refused: text", () => {
  test.each(text)("%s", (_title, recipe, expected) => {
    expect(errorOf(recipe)).toBe(expected);
  });
});
