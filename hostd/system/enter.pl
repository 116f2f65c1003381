#!/usr/bin/perl -w
# The last step into a sandbox: bwrap made namespaces and mounts, with the image below /app; this makes /app the root,
# gives up every privilege and becomes the app. It runs on the host's Perl, so an image needs no tool of its own, and
# the image's environment is set only at the end, so it cannot reach this program.
#
# usage: enter.pl ARCHITECTURE SPEC-FD REPORT-FD          becomes the app of a new sandbox
#        enter.pl ARCHITECTURE SPEC-FD REPORT-FD PID      runs beside process PID, in its namespaces, and exits as what it ran
# SPEC, joined by NUL: user id, sockets, most open files (0: as it is), workdir, number of variables, NAME=VALUE..., command...
# REPORT gets `entered` before the exec, and what failed where something did; it closes on exec.
use strict;    # nothing more is loaded: the pragma warnings alone takes as long as Perl itself

use constant { NOFILE => 7, MNT_DETACH => 2, PDEATHSIG => 1, CAPBSET_DROP => 24, NO_NEW_PRIVS => 38, CAPABILITY_VERSION_3 => 0x20080522 };
use constant { F_SETFD => 2, FD_CLOEXEC => 1 };
my %X86 = (
    pivot_root => 155, umount2 => 166, prctl => 157, capset => 126, setns => 308, prlimit => 302,
    close => 3, setuid => 105, setgid => 106, exit => 231,
);
my %ARM = (
    pivot_root => 41, umount2 => 39, prctl => 167, capset => 91, setns => 268, prlimit => 261,
    close => 57, setuid => 146, setgid => 144, exit => 94,
);
my ($architecture, $spec_fd, $report_fd, $beside) = @ARGV;
my %CALL = $architecture eq "x64" ? %X86 : %ARM;
open(my $report, ">&=", $report_fd) or die "report: $!\n";
fcntl($report, F_SETFD, FD_CLOEXEC);
my ($uid, $sockets, $files, $workdir, @rest) = read_spec();
my %env = map { /^([^=]*)=(.*)$/s } splice @rest, 0, shift @rest;

defined $beside ? join_namespaces($beside) : swap_root("/app");
close_others($sockets);
limit_files($files) if $files;
drop_privileges($uid);
die_with_parent() if defined $beside;
chdir $workdir or fail("working directory $workdir: $!");
$env{LISTEN_FDS} = $sockets, $env{LISTEN_PID} = $$ if $sockets;
%ENV = %env;
$SIG{TERM} = "DEFAULT";
syswrite($report, "entered\n");
$^W = 0;    # a failed exec is reported, not printed
exec { $rest[0] } @rest or fail("$rest[0]: $!");

sub read_spec {
    open(my $spec, "<&=", $spec_fd) or fail("spec: $!");
    local $/;
    my $text = <$spec>;
    close $spec;
    return split /\0/, $text, -1;
}

sub swap_root {
    my $dot = ".";
    chdir $_[0] or fail("$_[0]: $!");
    syscall($CALL{pivot_root}, $dot, $dot) == 0 or fail("pivot_root: $!");
    syscall($CALL{umount2}, $dot, MNT_DETACH) == 0 or fail("umount2: $!");
    chdir "/" or fail("/: $!");
}

# A pid namespace is entered by children only, so one is made; this process then waits and ends as it ended.
sub join_namespaces {
    my ($pid) = @_;
    die_with_parent();
    my @spaces = map { open(my $space, "<", "/proc/$pid/ns/$_") or fail("process $pid: $!"); $space } qw(ipc uts pid mnt);
    for my $space (@spaces) { syscall($CALL{setns}, fileno($space), 0) == 0 or fail("setns: $!") }
    my $child = fork // fail("fork: $!");
    return if $child == 0;
    close $report;
    waitpid($child, 0);
    leave($? & 127 ? 128 + ($? & 127) : $? >> 8);
}

# A program beside an app goes when hostd is gone; what it forked goes with the app at the latest. A change of user
# forgets this, so it is said before and after.
sub die_with_parent { syscall($CALL{prctl}, PDEATHSIG, 9, 0, 0, 0) == 0 or fail("pdeathsig: $!") }

# Whatever the caller had open besides the sockets is not the app's.
sub close_others {
    my ($count) = @_;
    opendir(my $open, "/proc/self/fd") or fail("/proc/self/fd: $!");
    my @extra = grep { /^\d+$/ && $_ >= 3 + $count && $_ != fileno $report } readdir $open;
    syscall($CALL{close}, $_ + 0) for @extra;
}

# More than the node allows this process is not to be had; hostd tells what is in force.
sub limit_files {
    my ($wanted) = @_;
    my $now = pack("QQ", 0, 0);
    my $none = 0;
    syscall($CALL{prlimit}, 0, NOFILE, $none, $now) == 0 or fail("prlimit: $!");
    my $hard = (unpack "QQ", $now)[1];
    my $most = $wanted < $hard ? $wanted : $hard;
    my $new = pack("QQ", $most, $most);
    syscall($CALL{prlimit}, 0, NOFILE, $new, $none) == 0 or fail("prlimit: $!");
}

sub drop_privileges {
    my $id = $_[0] + 0;
    for my $capability (0 .. 63) { last if syscall($CALL{prctl}, CAPBSET_DROP, $capability, 0, 0, 0) != 0 }
    $) = "$id $id";
    syscall($CALL{setgid}, $id) == 0 or fail("setgid: $!");
    syscall($CALL{setuid}, $id) == 0 or fail("setuid: $!");
    syscall($CALL{prctl}, NO_NEW_PRIVS, 1, 0, 0, 0) == 0 or fail("no_new_privs: $!");
    my $none = pack("L6", (0) x 6);
    my $head = pack("Ll", CAPABILITY_VERSION_3, 0);
    syscall($CALL{capset}, $head, $none) == 0 or fail("capset: $!");
    fail("expected user $id, got $< $>") if $< != $id || $> != $id || "$( $)" ne "$id $id $id $id";
}

sub fail {
    syswrite($report, $_[0]);
    leave(127);
}

# At once: nothing of this process is to be tidied up.
sub leave { syscall($CALL{exit}, $_[0]) }
