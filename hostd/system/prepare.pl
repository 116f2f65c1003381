#!/usr/bin/perl -w
# The first step into a sandbox: enters its cgroups, then joins the image and the mount points in a mount namespace of
# its own, so that it goes when the app goes. holder.pl and steward.pl do it in the process that becomes the app's; where
# hostd runs a hook, this is the program. It loads nothing: that would take longer than what it does.
#
# usage: prepare.pl ARCHITECTURE CGROUP... -- OPTIONS DIRECTORY COMMAND...     mounts the overlay, becomes COMMAND
use strict;

# Slave: what the node unmounts later goes here too, or a long-lived app would keep it busy and its disk space taken.
# Answers the words of the command; dies where something failed.
sub prepare {
    my ($architecture, @words) = @_;
    my ($unshare, $mount) = $architecture eq "x64" ? (272, 165) : (97, 40);
    my ($rdonly, $recursive_slave, $newns) = (0x1, 0x84000, 0x20000);
    while (defined(my $cgroup = shift @words)) {
        last if $cgroup eq "--";
        open(my $file, ">", "$cgroup/cgroup.procs") or die "$cgroup: $!\n";
        syswrite($file, "$$\n") or die "$cgroup: $!\n";
    }
    my ($options, $directory, @command) = @words;
    my ($none, $root, $overlay) = ("none", "/", "overlay");
    syscall($unshare, $newns) == 0 or die "unshare: $!\n";
    syscall($mount, $none, $root, 0, $recursive_slave, 0) == 0 or die "slave mounts: $!\n";
    syscall($mount, $overlay, $directory, $overlay, $rdonly, $options) == 0 or die "overlay $options: $!\n";
    return @command;
}

if (!caller) {
    my @command = prepare(@ARGV);
    exec { $command[0] } @command or die "$command[0]: $!\n";
}

1;
