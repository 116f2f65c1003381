import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll } from "vitest";

/** Programs of the machine that make a small root with a shell and a language that has sockets. */
const PROGRAMS = ["/usr/bin/perl", "/usr/bin/dash", "/usr/bin/sleep", "/usr/bin/cat", "/usr/bin/id"];

/**
 * The app of these tests. Serves HTTP on its first inherited socket; `/pid` answers its pid, other paths the version.
 * argv: version, what to do at SIGTERM (`drain` exits 0, `ignore` goes on), a unix socket to serve too.
 */
const SERVER = String.raw`
use strict; use warnings; use Errno; use Fcntl; use Socket;
my ($version, $at_term, $probe) = @ARGV;
my $draining = 0;
$SIG{PIPE} = "IGNORE"; # a check may connect and go
$SIG{TERM} = $at_term eq "ignore" ? "IGNORE" : sub { print "draining\n"; $draining = 1 };
$| = 1;
open(my $listen, "+<&=", 3) or die "no socket: $!";
fcntl($listen, F_SETFL, O_NONBLOCK); # another generation may take what both were told of
my @sockets = ($listen);
if ($probe) {
    socket(my $own, AF_UNIX, SOCK_STREAM, 0) or die "$probe: $!";
    bind($own, pack_sockaddr_un($probe)) && listen($own, 64) or die "$probe: $!";
    push @sockets, $own;
}
print "serving $version as $$ $ENV{LISTEN_FDS} $ENV{LISTEN_PID}\n";
while (!$draining) {
    my $ready = "";
    vec($ready, fileno $_, 1) = 1 for @sockets;
    select($ready, undef, undef, 0.05) > 0 or next;
    my ($socket) = grep { vec($ready, fileno $_, 1) } reverse @sockets;
    accept(my $client, $socket) or next;
    my $request = "";
    1 while !defined sysread($client, $request, 4096) && $!{EINTR};
    my $body = $request =~ m{^GET /pid } ? $$ : $version;
    my $status = $request =~ m{^GET /sick } ? "503 Sick" : "200 OK";
    syswrite($client, "HTTP/1.1 $status\r\nconnection: close\r\ncontent-length: " . length($body) . "\r\n\r\n$body");
    close $client;
}
`;

/** One root tree for all tests of a file, who only read it; removed after the last. */
export function useRoot(): () => string {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "root-"));
    chmodSync(directory, 0o755); // the app's user enters its root
    makeRoot(directory);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return () => directory;
}

/** Makes a root tree of about 10 MB, without /proc, /dev, /tmp, /run, /etc or /var. */
export function makeRoot(directory: string): void {
  const libraries = new Set<string>();
  for (const program of PROGRAMS) {
    copy(program, directory);
    for (const line of execFileSync("ldd", [program]).toString().split("\n")) {
      const library = /(\/\S+) \(/.exec(line)?.[1];
      if (library !== undefined) libraries.add(library);
    }
  }
  for (const library of libraries) copy(library, directory);
  const modules = execFileSync("perl", ["-e", "print grep { m{/perl-base$} } @INC"]).toString();
  copy(modules, directory);
  mkdirSync(join(directory, "bin"));
  copy("/usr/bin/dash", directory, "/bin/sh");
  mkdirSync(join(directory, "opt"));
  symlinkSync("opt", join(directory, "link"));
  writeFileSync(join(directory, "opt/server.pl"), SERVER);
}

function copy(path: string, directory: string, as = path): void {
  mkdirSync(dirname(join(directory, as)), { recursive: true });
  cpSync(path, join(directory, as), { recursive: true, dereference: true });
}
