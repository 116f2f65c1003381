import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * The app under test: writes numbered records to its data and answers each only once it is on disk. argv: version,
 * then what is wrong with it: `good`, `sick` (503 from the start), `crash` (ends after 0.2 s), `turns-sick` (503 once
 * the file /var/lib/shop/sick is there), `ends` (ends once the file /var/lib/shop/end is there), `half` (good on its
 * probe, 503 on its port), `greedy` (takes 200 MB of memory), `stubborn` (SIGTERM does not end it). The third
 * argument is a unix socket on which it answers too, its probe; the fourth a port that it binds itself, where hostd gives
 * it no socket.
 * What it was greeted with it reads at its start and at SIGHUP: `sick` makes it so, and `die` ends it.
 */
export const SERVER = String.raw`
use strict; use warnings; use Socket; use IO::Handle; use Fcntl qw(:DEFAULT :flock);
my ($version, $how, $probe, $port) = @ARGV;
my $data = "/var/lib/shop";
my $draining = 0;
my $quiet = 0; # while it is, nothing is written
my $greeting = slurp("/etc/shop/greeting");
$SIG{TERM} = sub { $draining = 1 if $how ne "stubborn" };
$SIG{HUP} = sub { $greeting = slurp("/etc/shop/greeting"); die "bad greeting\n" if $greeting eq "die" };
$| = 1;
print "shop $version begins as $how\n";
if ($how eq "greedy") { select(undef, undef, undef, 0.1); my $many = 200_000_000; print length("x" x $many) }
if ($how eq "crash") { select(undef, undef, undef, 0.2); print "about to crash\n"; exit 3 }
my $listen;
if ($port) {
    socket($listen, AF_INET, SOCK_STREAM, 0) && setsockopt($listen, SOL_SOCKET, SO_REUSEADDR, 1) or die "socket: $!";
    bind($listen, pack_sockaddr_in($port, INADDR_LOOPBACK)) && listen($listen, 64) or die "port $port: $!";
} else { open($listen, "+<&=", 3) or die "no socket: $!" }
fcntl($listen, F_SETFL, O_NONBLOCK); # another version may take what both were told of
my @sockets = ($listen);
if ($probe) {
    socket(my $own, AF_UNIX, SOCK_STREAM, 0) or die "$probe: $!";
    bind($own, pack_sockaddr_un($probe)) && listen($own, 64) or die "$probe: $!";
    push @sockets, $own;
}
sub slurp { open(my $file, "<", $_[0]) or return ""; local $/; my $text = <$file>; return $text // "" }
sub record {
    open(my $lock, ">", "$data/lock") or return undef;
    flock($lock, LOCK_EX) or $! == 4 && flock($lock, LOCK_EX) or return undef; # two versions may write; SIGTERM interrupts
    my $text = slurp("$data/records");
    return undef if length $text != (-s "$data/records" // 0); # the disk did not give all of it
    $text =~ s/[^\n]*\z//; # what a power cut left of a record was never answered
    my $number = () = $text =~ /\n/g;
    open(my $file, ">>", "$data/records") or return undef;
    my $written = truncate($file, length $text)
        && print($file "$number by $version\n") && $file->flush && $file->sync;
    open(my $folder, "<", $data) or return undef;
    $written &&= $folder->sync if $number == 0;
    truncate($file, length $text) if !$written;
    return $written ? $number : undef;
}
while (!$draining) {
    my $ready = "";
    vec($ready, fileno $_, 1) = 1 for @sockets;
    select($ready, undef, undef, 0.05) > 0 or next;
    my ($socket) = grep { vec($ready, fileno $_, 1) } reverse @sockets; # load must not hide the probe
    accept(my $client, $socket) or next;
    my ($request, $got);
    do { $got = sysread($client, $request, 4096) } while (!defined $got && $! == 4); # SIGTERM drops no request
    $got or next;
    exit 4 if $how eq "ends" && -e "$data/end";
    my $sick = $how eq "sick" || $greeting eq "sick" || ($how eq "half" && $socket == $listen) || ($how eq "turns-sick" && -e "$data/sick");
    my $status = $sick && $request =~ m{^GET /healthz } ? "503 Sick" : "200 OK";
    $quiet = $1 eq "quiet" if $request =~ m{^POST /(quiet|loud) };
    my $recorded = $request =~ m{^POST /records } ? $quiet ? undef : record() : "";
    $status = "507 No Room" if !defined $recorded;
    my $body = $request =~ m{^POST } ? $recorded // ""
        : $request =~ m{^GET /records } ? slurp("$data/records")
        : $request =~ m{^GET /config } ? $greeting
        : $request =~ m{^GET /etc/(\w+) } ? slurp("/etc/shop/$1")
        : $request =~ m{^GET /format } ? slurp("$data/format")
        : $version;
    syswrite($client, "HTTP/1.1 $status\r\nx-version: $version\r\nconnection: close\r\ncontent-length: " . length($body) . "\r\n\r\n$body");
    close $client;
}
`;

/** The migration of the app under test. argv: the format it leads to, and `good` or `bad` (fails half way). */
export const MIGRATION = String.raw`
use strict; use warnings;
my ($format, $how) = @ARGV;
open(my $file, ">", "/var/lib/shop/format") or die "format: $!";
print $file "half"; close $file;
die "cannot migrate\n" if $how eq "bad";
open($file, ">", "/var/lib/shop/format") or die "format: $!";
print $file $format; close $file;
`;

/** Makes the app under test quiet, or loud again. argv: port, `quiet` or `loud`, and `good`, `bad` or `hang`. */
export const QUIET = String.raw`
use strict; use warnings; use Socket;
my ($port, $what, $how) = @ARGV;
socket(my $app, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
connect($app, sockaddr_in($port, inet_aton("127.0.0.1"))) or die "connect: $!";
syswrite($app, "POST /$what HTTP/1.1\r\n\r\n");
sysread($app, my $answer, 100) or die "no answer";
sleep 60 if $how eq "hang";
die "cannot be $what\n" if $how eq "bad";
`;

/**
 * The job under test: writes a line to its data when it begins and one when it ends, so that its runs can be counted.
 * argv: version, seconds it takes, exit code. Where the file /var/lib/shop/exit is there, that says the exit code.
 */
export const JOB = String.raw`
use strict; use warnings; use IO::Handle;
my ($version, $seconds, $code) = @ARGV;
sub note { open(my $file, ">>", "/var/lib/shop/runs") or die "runs: $!"; print $file "$_[0] $version\n"; $file->flush; $file->sync }
$| = 1;
note("began");
print "job $version at work\n";
select(undef, undef, undef, $seconds);
if (open(my $file, "<", "/var/lib/shop/exit")) { $code = <$file> + 0 }
note("ended");
print "job $version ends with $code\n";
exit $code;
`;

const PROGRAMS = ["/usr/bin/perl", "/usr/bin/dash"];

/** A root tree of a few megabytes with Perl and what it needs. */
export function makeBase(directory: string): void {
  const libraries = new Set<string>();
  for (const program of PROGRAMS) {
    copy(program, directory);
    for (const line of execFileSync("ldd", [program]).toString().split("\n")) {
      const library = /(\/\S+) \(/.exec(line)?.[1];
      if (library !== undefined) libraries.add(library);
    }
  }
  for (const library of libraries) copy(library, directory);
  copy(execFileSync("perl", ["-e", "print grep { m{/perl-base$} } @INC"]).toString(), directory);
  mkdirSync(join(directory, "opt"));
}

function copy(path: string, directory: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  cpSync(path, join(directory, path), { recursive: true, dereference: true });
}
