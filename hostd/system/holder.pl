#!/usr/bin/perl
# The holder of one app. It owns the app's LISTEN sockets, which stay open whatever is started or stopped behind
# them, and it is the parent of the app's processes, so that exit codes are known after hostd died (ADR 0004).
# It never accepts a connection, decides nothing, and needs perl-base alone. Apps die with it; told to end by SIGTERM, as
# at a shutdown, it first asks them to end and waits.
#
# usage: holder.pl DIRECTORY     DIRECTORY (this app's run directory) gets holder.lock, holder.sock, generations/N
#
# One request a connection: fields joined by NUL, ended by shutdown. The answer likewise: `ok` or `error`, CODE, TEXT.
#   status                                   -> ok, one record for each generation that lives or ended among the last
#   listen   ADDRESS PORT ...                -> ok; the sockets are now exactly these, in this order
#   start    N LOG LIMIT SOCKETS ARGC ARG... SPEC...  -> ok, record; SPEC is what enter.pl reads
#   stop     N MILLISECONDS                  -> ok, when nothing of it is left
#   quit                                     -> ok; everything killed, holder gone
# A record: `generation=N init=PID initstart=T pid=PID start=T started=S [code=N] [ended=S] [oom=1]`; S in seconds, T in ticks.
use strict;
use warnings;
use Fcntl qw(:flock F_GETFL F_SETFL O_NONBLOCK);
use POSIX qw(:sys_wait_h :errno_h);
use Socket qw(:DEFAULT inet_pton IPPROTO_TCP);
require(($0 =~ m{^(.*/)}s)[0] . "process.pl");

use constant BACKLOG        => 4096;
use constant READ_SIZE      => 65536;
use constant SUBREAPER      => 36;             # prctl PR_SET_CHILD_SUBREAPER
use constant LAST_WORDS     => 2;              # seconds in which a sandbox that failed ends by itself
use constant REQUEST_LIMIT  => 4 * 1024 * 1024;
my $PRCTL = (POSIX::uname())[4] eq "x86_64" ? 157 : 167;

my (%sockets, @order, %generations, @clients, $ending);
umask 077;
$SIG{PIPE} = "IGNORE";
$SIG{HUP}  = "IGNORE";
chdir $ARGV[0] or die "$ARGV[0]: $!\n";
open(my $lock, ">", "holder.lock") or die "holder.lock: $!\n";
if (!flock($lock, LOCK_EX | LOCK_NB)) { print "held\n"; exit 0 }
syscall($PRCTL, SUBREAPER, 1, 0, 0, 0) == 0 or die "prctl: $!\n";
pipe(my $wake, my $waker) or die "pipe: $!\n";
nonblocking($wake, $waker);
$SIG{CHLD} = sub { syswrite($waker, ".") };
$SIG{TERM} = sub { $ending = 1; syswrite($waker, ".") };
mkdir "generations";
bury($_) for glob "generations/*";
my $control = control();
$| = 1;
print "ready\n";
open(STDOUT, ">&", \*STDERR) or die "stdout: $!\n";
serve() while 1;

# One turn: wait for any descriptor, a child's end or the next deadline, then do what is due.
sub serve {
    my %on = (fileno($control) => \&accepted, fileno($wake) => sub { sysread($wake, my $drop, READ_SIZE) });
    for my $client (@clients) { $on{ fileno($client->{socket}) } = sub { received($client) } unless $client->{waiting} }
    for my $g (values %generations) {
        # Either may be closed by what another descriptor of this turn brings: an app's end, seen by who asks.
        $on{ fileno($g->{report}) } = sub { reported($g) if $g->{report} } if $g->{report};
        $on{ fileno($g->{pipe}) }   = sub { logged($g)   if $g->{pipe} }   if $g->{pipe};
    }
    my $ready = "";
    vec($ready, $_, 1) = 1 for keys %on;
    my @deadlines = sort { $a <=> $b } map { $_->{deadline} // () } values %generations;
    my $left = @deadlines ? $deadlines[0] - now() : undef;
    my $timeout = defined $left && $left < 0 ? 0 : $left;
    if (select($ready, undef, undef, $timeout) > 0) {
        vec($ready, $_, 1) and $on{$_}->() for keys %on;
    }
    reap();
    for my $g (values %generations) { kill_all($g) if $g->{deadline} && $g->{deadline} <= now() }
    @clients = grep { !$_->{done} } @clients;
    end() if $ending;
}

# SIGTERM: at a shutdown the apps get theirs from the system too, and the bwraps around them ignore it (become_sandbox).
sub end {
    my @alive = grep { !$_->{ended} } values %generations;
    exit 0 if !@alive;
    for my $g (grep { !$_->{asked} } @alive) {
        $g->{asked} = 1;
        my ($signal, $milliseconds) = ending($g->{generation});
        $g->{deadline} //= now() + $milliseconds / 1000;
        kill $signal, $g->{pid} if alive($g->{pid}, $g->{start});
    }
}

sub accepted {
    accept(my $socket, $control) or return;
    nonblocking($socket);
    push @clients, { socket => $socket, text => "" };
}

sub received {
    my ($client) = @_;
    my $got = sysread($client->{socket}, $client->{text}, READ_SIZE, length $client->{text});
    return if !defined $got && ($! == EAGAIN || $! == EINTR);
    return drop($client) if !defined $got || length $client->{text} > REQUEST_LIMIT;
    return if $got;
    my ($verb, @arguments) = split /\0/, $client->{text}, -1;
    my %verbs = (status => \&status, listen => \&listen_on, start => \&start, stop => \&stop, quit => \&quit);
    my $do = $verbs{ $verb // "" };
    $do ? $do->($client, @arguments) : answer($client, "error", "protocol", "unknown request");
    $client->{text} = "";
    $client->{waiting} = 1;
}

sub answer {
    my ($client, @fields) = @_;
    nonblocking_off($client->{socket});
    syswrite($client->{socket}, join "\0", @fields);
    drop($client);
}

sub drop { my ($client) = @_; close $client->{socket}; $client->{done} = 1 }

sub status {
    my ($client) = @_;
    reap();
    answer($client, "ok", map { record($generations{$_}) } sort { $a <=> $b } keys %generations);
}

# Opens what is new before it closes what is no longer wanted: a kept port is never closed. Only one address in place
# of another on the same port must let go first; if that fails, it goes back.
sub listen_on {
    my ($client, @wanted) = @_;
    my (@names, %new, @rivals);
    while (my ($address, $port) = splice @wanted, 0, 2) { push @names, "$address $port" }
    my %keep = map { $_ => 1 } @names;
    for my $name (grep { !$sockets{$_} } @names) {
        my ($address, $port) = split / /, $name;
        my @now = grep { !$keep{$_} && / $port$/ } keys %sockets;
        close delete $sockets{$_} for @now;
        push @rivals, @now;
        $new{$name} = listening($address, $port);
        next if $new{$name};
        my ($code, $text) = ($! == EADDRINUSE ? "port-in-use" : "listen", "$!");
        undef %new;
        $sockets{$_} = listening(split / /, $_) for @rivals;
        return answer($client, "error", $code, $address, $port, $text);
    }
    %sockets = (%sockets, %new);
    for my $old (grep { !$keep{$_} } keys %sockets) { close delete $sockets{$old} }
    @order = @names;
    answer($client, "ok");
}

sub listening {
    my ($address, $port) = @_;
    my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
    my $packed = inet_pton($family, $address);
    if (!defined $packed) { $! = EINVAL; return }
    socket(my $socket, $family, SOCK_STREAM, IPPROTO_TCP) or return;
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, pack("l", 1)) or return;
    bind($socket, $family == AF_INET6 ? Socket::pack_sockaddr_in6($port, $packed) : pack_sockaddr_in($port, $packed)) or return;
    listen($socket, BACKLOG) or return;
    return $socket;
}

sub start {
    my ($client, $n, $log, $limit, $count, $argc, @rest) = @_;
    my $old = $generations{$n};
    return answer($client, "error", "already-running", "generation $n runs already") if $old && !$old->{ended};
    return answer($client, "error", "protocol", "expected $count sockets, got " . @order) if $count > @order;
    my @command = splice @rest, 0, $argc;
    # Before anything runs in it: an app may be killed before it is known. Its cgroups stand after `prepare` (launch.ts).
    my ($killfile) = grep { -e } map { ("$_/memory.oom_control", "$_/memory.events") } grep { /\@$n$/ } @command;
    my $kills = defined $killfile ? kills($killfile) : 0;
    open(my $spec, "+>", "spec.$n") or return answer($client, "error", "launcher-failed", "spec.$n: $!");
    unlink "spec.$n";
    my $bytes = join "\0", @rest;
    syswrite($spec, $bytes) == length $bytes or return answer($client, "error", "launcher-failed", "spec.$n: $!");
    sysseek($spec, 0, 0);
    pipe(my $report, my $reporter);
    pipe(my $pipe, my $output);
    my $pid = fork // return answer($client, "error", "launcher-failed", "fork: $!");
    become_sandbox($output, $output, [@sockets{ @order[0 .. $count - 1] }], $spec, $reporter, @command) if $pid == 0;
    nonblocking($report, $pipe);
    $generations{$n} = {
        generation => $n, monitor => $pid, report => $report, told => "", pipe => $pipe, client => $client,
        log => $log, limit => $limit, started => now(), waiters => [], pid => 0, start => 0, init => 0, initstart => 0,
        killfile => $killfile, kills => $kills, owncgroup => defined $killfile,
    };
    $generations{$_}{ended} && delete $generations{$_} for forget_old($n);
}

# enter.pl says `entered` just before it executes the app, then why it could not; the end of the pipe is the exec.
sub reported {
    my ($g) = @_;
    my $got = sysread($g->{report}, $g->{told}, READ_SIZE, length $g->{told});
    return if !defined $got && ($! == EAGAIN || $! == EINTR);
    identify($g) if !$g->{pid} && $g->{told} =~ /^entered\n/;
    return if $got;
    close delete $g->{report};
    my $client = delete $g->{client};
    $g->{told} =~ s/^entered\n// or $g->{told} ||= "sandbox could not be made";
    if ($g->{told} ne "") {
        $g->{fault} = $g->{told} =~ s/^launcher\n// ? "launcher-failed" : "start-failed";
        $g->{failed} = $client;
        return finished($g) if $g->{ended};
        $g->{deadline} = now() + LAST_WORDS;
        return;
    }
    keep($g);
    answer($client, "ok", record($g));
    finished($g) if $g->{ended};
}

sub logged {
    my ($g) = @_;
    my $got = sysread($g->{pipe}, my $text, READ_SIZE);
    return 0 if !defined $got && ($! == EAGAIN || $! == EINTR);
    if (!$got) { close delete $g->{pipe}; return 0 }
    rename $g->{log}, "$g->{log}.1" if (-s $g->{log} // 0) + $got > $g->{limit};
    if (open(my $file, ">>", $g->{log})) { syswrite($file, $text) }
    return 1;
}

sub reap {
    while ((my $pid = waitpid(-1, WNOHANG)) > 0) {
        my $status = $?;
        my ($g) = grep { $_->{monitor} == $pid && !$_->{ended} } values %generations;
        ended($g, $status) if $g;
    }
}

# The app ended. What it left behind hangs on its init, which is our child now, since we are its subreaper.
sub ended {
    my ($g, $status) = @_;
    my %monitor = map { $_->{monitor} => 1 } values %generations;
    for my $left (grep { !$monitor{$_} } children($$)) { kill 9, $left; waitpid($left, 0) }
    while ($g->{pipe} && logged($g)) { }
    close delete $g->{pipe} if $g->{pipe};
    $g->{code} = WIFEXITED($status) ? WEXITSTATUS($status) : 128 + WTERMSIG($status);
    $g->{ended} = now();
    note_kills($g);
    delete $g->{deadline};
    finished($g) if !$g->{report};
}

sub finished {
    my ($g) = @_;
    keep($g);
    if (my $client = delete $g->{failed}) { answer($client, "error", $g->{fault}, $g->{told}) }
    answer($_, "ok") for splice @{ $g->{waiters} };
}

sub stop {
    my ($client, $n, $milliseconds) = @_;
    reap();
    my $g = $generations{$n};
    return answer($client, "ok") if !$g || $g->{ended};
    push @{ $g->{waiters} }, $client;
    my $deadline = now() + $milliseconds / 1000;
    $g->{deadline} = $deadline if !$g->{deadline} || $deadline < $g->{deadline};
    return kill_all($g) if !alive($g->{pid}, $g->{start});
    my ($signal) = ending($n);
    kill $signal, $g->{pid};
}

# The init takes its whole namespace with it; before it is known the monitor does (--die-with-parent).
sub kill_all {
    my ($g) = @_;
    delete $g->{deadline};
    return if $g->{ended};
    kill 9, alive($g->{init}, $g->{initstart}) ? $g->{init} : $g->{monitor};
}

sub quit {
    my ($client) = @_;
    for my $g (grep { !$_->{ended} } values %generations) {
        kill_all($g);
        waitpid($g->{monitor}, 0) == $g->{monitor} and ended($g, $?);
    }
    close $_ for values %sockets; # whoever is answered finds them closed
    unlink "holder.sock";
    answer($client, "ok");
    exit 0;
}

# A generation whose holder was killed died with it; make sure, and let nobody take it for a living one.
sub bury {
    my ($path) = @_;
    open(my $file, "<", $path) or return;
    my %g = map { split /=/, $_, 2 } split " ", <$file> // "";
    return if !defined $g{generation};
    for (1 .. 500) {
        last if !alive($g{init}, $g{initstart});
        kill 9, $g{init};
        select(undef, undef, undef, 0.01);
    }
    $generations{ $g{generation} } = { %g, monitor => 0, waiters => [], ended => $g{ended} // now() };
    keep($generations{ $g{generation} }) if !defined $g{ended};
}

sub control {
    unlink "holder.new";
    socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
    bind($socket, pack_sockaddr_un("holder.new")) or die "bind: $!\n";
    listen($socket, 64) or die "listen: $!\n";
    rename "holder.new", "holder.sock" or die "holder.sock: $!\n";
    return $socket;
}

sub nonblocking_off { fcntl($_, F_SETFL, fcntl($_, F_GETFL, 0) & ~O_NONBLOCK) for @_ }
