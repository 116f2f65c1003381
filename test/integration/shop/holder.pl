# Keeps a listening socket on 127.0.0.1 and runs one program on it at a time, as descriptor 3.
# Prints the port. Then, for each line of standard input, a command without quoting rules (words split at blanks; an
# empty line for none): stops what runs with SIGTERM, waits for it, starts the new one, and prints the old one's status.
use strict;
use warnings;
use POSIX qw(dup2);
use Socket;

$^F = 3;    # descriptor 3 stays open over exec
socket(my $listener, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($listener, SOL_SOCKET, SO_REUSEADDR, 1) or die "setsockopt: $!";
bind($listener, sockaddr_in(0, INADDR_LOOPBACK)) or die "bind: $!";
listen($listener, 4096) or die "listen: $!";
$| = 1;
print +(sockaddr_in(getsockname($listener)))[0], "\n";

my $running;
while (defined(my $line = <STDIN>)) {
    my $status = stop();
    my @command = split ' ', $line;
    $running = start(@command) if @command;
    print "$status\n";
}
stop();

sub start {
    my @command = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    open STDIN, '<', '/dev/null' or die "stdin: $!";
    open STDOUT, '>&', \*STDERR or die "stdout: $!";
    dup2(fileno($listener), 3) or die "dup2: $!";
    @ENV{qw(LISTEN_FDS LISTEN_PID)} = (1, $$);
    exec { $command[0] } @command or die "exec $command[0]: $!";
}

sub stop {
    return 'none' unless $running;
    kill TERM => $running;
    waitpid $running, 0;
    undef $running;
    return $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
}
