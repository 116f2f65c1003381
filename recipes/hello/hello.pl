#!/usr/bin/perl
# Answers every HTTP request with a greeting, on the socket handed over as descriptor 3 (LISTEN_FDS) or on port 8081.
use strict;
use warnings;
use IO::Socket::INET;

my $listener = $ENV{LISTEN_FDS}
  ? IO::Socket::INET->new_from_fd(3, 'r+')
  : IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT} // 8081, Listen => 128, ReuseAddr => 1);
die "hello: cannot listen: $@$!\n" unless $listener;

# On SIGTERM the request at hand is answered, then no other is taken.
my $stopping = 0;
$SIG{TERM} = sub { $stopping = 1 };

# Waits with a limit, for a signal that comes between the look at $stopping and the wait.
sub is_someone_there {
    my $readable = '';
    vec($readable, fileno($listener), 1) = 1;
    return select($readable, undef, undef, 0.2) > 0;
}

until ($stopping) {
    next unless is_someone_there();
    my $client = $listener->accept or next;
    answer($client);
    close $client;
}

sub answer {
    my ($client) = @_;
    local $SIG{ALRM} = sub { die "too slow\n" };
    local $SIG{PIPE} = 'IGNORE';
    eval {
        alarm 5;
        while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
        my $body = "Hello from process $$\n";
        print {$client} "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
          . length($body) . "\r\nConnection: close\r\n\r\n$body";
    };
    alarm 0;
}
