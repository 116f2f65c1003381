# What holder.pl and steward.pl both know about processes: /proc, the clock, records. Needs perl-base alone.
use strict;
use warnings;
use Fcntl qw(F_DUPFD F_GETFL F_SETFL O_NONBLOCK);
use POSIX ();
require(($0 =~ m{^(.*/)}s)[0] . "prepare.pl");

use constant MOST_ENDED => 32;
my $CLOCK_GETTIME = (POSIX::uname())[4] eq "x86_64" ? 228 : 113;

# Becomes COMMAND: 0 null, 1 and 2 as given, from 3 the sockets, the spec, the report pipe; everything else closed. What
# prepare.pl at its head would do is done here: another Perl would only take time. The report gets `launcher` and the
# reason where this fails: nothing of the image had a part in it.
sub become_sandbox {
    my ($output, $error, $listen, $spec, $reporter, @command) = @_;
    $SIG{$_} = "DEFAULT" for qw(PIPE HUP CHLD);
    $SIG{TERM} = "IGNORE"; # until enter.pl: bwrap would die of it and take the app along
    umask 022;
    open(my $null, "<", "/dev/null");
    my @high = map { fcntl($_, F_DUPFD, 200) } $null, $output, $error, @$listen, $spec, $reporter;
    POSIX::dup2($high[$_], $_) for 0 .. $#high;
    opendir(my $open, "/proc/self/fd");
    my @extra = grep { /^\d+$/ && $_ > $#high } readdir $open;
    POSIX::close($_) for @extra;
    my ($perl, $program, @words) = @command;
    @command = eval { prepare(@words) } if $program =~ m{/prepare\.pl$};
    { exec { $command[0] } @command if @command }
    my $reason = "launcher\n" . ($@ || "$command[0]: $!");
    POSIX::write($#high, $reason, length $reason);
    POSIX::_exit(127);
}

# bwrap is the monitor; its child is the init of the namespace, whose first child becomes the app.
sub identify {
    my ($g) = @_;
    ($g->{init}) = children($g->{monitor});
    $g->{initstart} = start_time($g->{init} //= 0);
    ($g->{pid}) = children($g->{init});
    $g->{start} = start_time($g->{pid} //= 0);
    count_kills($g, $g->{pid}) if !$g->{killfile};
}

# Kills for want of memory so far, in the cgroup of a process. Where that is not the app's own, only the app's own SIGKILL
# is put down to them.
sub count_kills {
    my ($g, $pid) = @_;
    open(my $file, "<", "/proc/$pid/cgroup") or return;
    my ($v1, $v2);
    while (<$file>) { if (/^\d+:(?:\S*,)?memory(?:,[^:]*)?:(.*)/) { $v1 = $1 } elsif (/^0::(.*)/) { $v2 = $1 } }
    my ($path, $type, $counter) = defined $v1 ? ($v1, "cgroup", "memory.oom_control") : ($v2, "cgroup2", "memory.events");
    open(my $mounts, "<", "/proc/mounts") or return;
    my ($at) = map { (split)[1] } grep { / $type \S*/ && ($type eq "cgroup2" || /[ ,]memory[ ,]/) } <$mounts>;
    return if !defined $at || !defined $path;
    $g->{killfile} = "$at$path/$counter";
    $g->{kills} = kills($g->{killfile});
    $g->{owncgroup} = $path =~ /\@$g->{generation}(?:\.service)?$/;
}

sub kills {
    open(my $file, "<", $_[0]) or return 0;
    local $/;
    return <$file> =~ /^oom_kill (\d+)/m ? $1 : 0;
}

sub note_kills {
    my ($g) = @_;
    return if !$g->{killfile} || !($g->{owncgroup} || $g->{code} == 137);
    $g->{oom} = 1 if kills($g->{killfile}) > $g->{kills};
}

# Leaves a generation's record in generations/N, whole or not at all.
sub keep {
    my ($g) = @_;
    my ($path, $new) = ("generations/$g->{generation}", "generations/.$g->{generation}");
    open(my $file, ">", $new) or return warn "$path: $!\n";
    print $file record($g), "\n";
    close $file and rename $new, $path or warn "$path: $!\n";
}

# The records of what ended last stay, and those of all that lives: a node starts generations for years, and each look at
# an app reads every record. Answers which generations have none any more; `$n` is being started.
sub forget_old {
    my ($n) = @_;
    my %ended;
    for my $path (glob "generations/*") {
        open(my $file, "<", $path) or next;
        my %g = map { split /=/, $_, 2 } split " ", <$file> // "";
        next if !defined $g{generation} || $g{generation} == $n;
        next if !defined $g{ended} && alive($g{init}, $g{initstart});
        $ended{ $g{generation} } = $g{ended} // $g{started};
    }
    my @old = sort { $ended{$b} <=> $ended{$a} || $b <=> $a } keys %ended;
    my @forgotten = splice @old, @old < MOST_ENDED ? scalar @old : MOST_ENDED;
    unlink map { "ending.$_" } @forgotten;
    return grep { unlink "generations/$_" } @forgotten;
}

# How hostd wants a generation to be asked to end: the number of the signal, and the milliseconds it may take then.
sub ending {
    my ($n) = @_;
    my @usual = (15, 10_000);
    open(my $file, "<", "ending.$n") or return @usual;
    return (<$file> // "") =~ /^([1-9]\d?) (\d+)$/ ? ($1, $2) : @usual;
}

sub record {
    my ($g) = @_;
    my @fields = qw(generation init initstart pid start started);
    return join " ", map { "$_=$g->{$_}" } @fields, grep { defined $g->{$_} } qw(code ended oom);
}

sub children {
    my ($pid) = @_;
    open(my $file, "<", "/proc/$pid/task/$pid/children") or return;
    return split " ", <$file> // "";
}

# Field 22 of /proc/PID/stat: with the pid it names one process for ever. A zombie counts as gone.
sub start_time {
    my ($pid) = @_;
    open(my $file, "<", "/proc/$pid/stat") or return 0;
    my $stat = <$file> // "";
    $stat =~ s/^.*\) //s;
    my @fields = split " ", $stat;
    return !@fields || $fields[0] =~ /[ZX]/ ? 0 : $fields[19];
}

sub alive { my ($pid, $start) = @_; return $pid && $start && start_time($pid) == $start }

# Wall clock with fractions (CLOCK_REALTIME); Time::HiRes is not in perl-base.
sub now {
    my $buffer = "\0" x 16;
    syscall($CLOCK_GETTIME, 0, $buffer);
    my ($seconds, $nanoseconds) = unpack "qq", $buffer;
    return sprintf "%.3f", $seconds + $nanoseconds / 1e9;
}

sub nonblocking { fcntl($_, F_SETFL, fcntl($_, F_GETFL, 0) | O_NONBLOCK) for @_ }

1;
