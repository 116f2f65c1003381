#!/usr/bin/perl
# The main process of one generation's unit where systemd is the launcher (ADR 0009): makes the sandbox, tells systemd
# READY when the app was executed, asks the app to end at SIGTERM (ending.N, process.pl), kills all of it when its time is
# over, keeps its exit as a record, and ends as the app ended. The sockets are systemd's.
#
# usage: steward.pl DIRECTORY N MILLISECONDS NAMES COMMAND...
# DIRECTORY (this app's run directory) holds spec.N, what enter.pl reads; it is deleted once it is open. It gets
# generations/N (record in process.pl) and, where the app could not be executed, failed.N with the reason. stop.N, where
# there is one at SIGTERM, holds other milliseconds to wait than given here. NAMES: sockets in the app's order, by colons.
use strict;
use warnings;
use POSIX qw(:sys_wait_h :errno_h);
use Socket;
require(($0 =~ m{^(.*/)}s)[0] . "process.pl");

use constant READ_SIZE => 65536;
my ($directory, $n, $patience, $names, @command) = @ARGV;
chdir $directory or die "$directory: $!\n";
mkdir "generations", 0700;
unlink "failed.$n";
forget_old($n);
my $manager = delete $ENV{NOTIFY_SOCKET};
my @sockets = sockets();
open(my $spec, "<", "spec.$n") or die "spec.$n: $!\n";
unlink "spec.$n", "stop.$n";

pipe(my $wake, my $waker) or die "pipe: $!\n";
nonblocking($wake, $waker);
my ($asked, $deadline, $told) = (0, undef, "");
$SIG{CHLD} = sub { syswrite($waker, ".") };
$SIG{TERM} = sub { $asked = 1; syswrite($waker, ".") };

pipe(my $report, my $reporter) or die "pipe: $!\n";
my $monitor = fork // die "fork: $!\n";
become_sandbox(\*STDOUT, \*STDERR, \@sockets, $spec, $reporter, @command) if $monitor == 0;
close $_ for $reporter, $spec, @sockets;
my $g = { generation => $n, monitor => $monitor, started => now(), map { $_ => 0 } qw(pid start init initstart) };
count_kills($g, $$);
serve() while 1;

# One turn: wait for the report, a child's end, SIGTERM or the deadline, then do what is due.
sub serve {
    my $ready = "";
    vec($ready, fileno $_, 1) = 1 for grep { $_ } $wake, $report;
    my $left = defined $deadline ? $deadline - now() : undef;
    select($ready, undef, undef, defined $left && $left < 0 ? 0 : $left);
    sysread($wake, my $drop, READ_SIZE);
    reported() if $report && vec($ready, fileno $report, 1);
    my $status = waitpid($monitor, WNOHANG) == $monitor ? $? : undef;
    ended($status) if defined $status;
    ask() if $asked == 1;
    kill 9, alive($g->{init}, $g->{initstart}) ? $g->{init} : $monitor if defined $deadline && now() >= $deadline;
}

# enter.pl says `entered` just before it executes the app, then why it could not; the end of the pipe is the exec.
sub reported {
    my $got = sysread($report, $told, READ_SIZE, length $told);
    return if !defined $got && $! == EINTR;
    identify($g) if !$g->{pid} && $told =~ /^entered\n/;
    return if $got;
    close $report;
    undef $report;
    return if $told ne "entered\n";
    keep($g);
    notify("READY=1\nSTATUS=process $g->{pid} runs");
}

# SIGTERM, as at a stop or a shutdown: the app gets the signal that its image names, and may take its time.
sub ask {
    $asked = 2;
    if (open(my $file, "<", "stop.$n")) { $patience = <$file> + 0 }
    notify("STOPPING=1\nEXTEND_TIMEOUT_USEC=" . ($patience + 5000) * 1000);
    $deadline = now() + $patience / 1000;
    my ($signal) = ending($n);
    kill $signal, $g->{pid} if alive($g->{pid}, $g->{start});
}

# The app ended. What it left behind hangs on its init, which systemd kills with the unit; its record is there before.
sub ended {
    my ($status) = @_;
    kill 9, $g->{init} if alive($g->{init}, $g->{initstart});
    reported() while $report;
    $g->{code} = WIFEXITED($status) ? WEXITSTATUS($status) : 128 + WTERMSIG($status);
    $g->{ended} = now();
    note_kills($g);
    explain() if $told ne "entered\n";
    keep($g);
    POSIX::_exit($g->{code});
}

# Why the app could not be executed; hostd reads it once the start job has failed.
sub explain {
    open(my $file, ">", "failed.$n") or return warn "failed.$n: $!\n";
    print $file $told =~ s/^entered\n//r || "sandbox could not be made";
    close $file;
}

# systemd hands sockets over in no order of ours, but with their names.
sub sockets {
    my @given = split /:/, $ENV{LISTEN_FDNAMES} // "";
    my %at = map { $given[$_] => 3 + $_ } 0 .. $#given;
    delete @ENV{qw(LISTEN_FDS LISTEN_PID LISTEN_FDNAMES)};
    return map {
        my $at = $at{$_} // die "expected socket $_, got: @given\n";
        open(my $socket, "+<&=", $at) or die "socket $_: $!\n";
        $socket
    } split /:/, $names;
}

sub notify {
    my ($text) = @_;
    return if !defined $manager;
    (my $path = $manager) =~ s/^\@/\0/;
    socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or return;
    send($socket, $text, 0, pack_sockaddr_un($path)) // warn "notify: $!\n";
}
