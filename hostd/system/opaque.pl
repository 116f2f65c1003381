#!/usr/bin/perl -w
# Tells which directories of an overlay's upper hide what lies under them: their paths, each ended by NUL, on standard
# input, and those of them on standard output. Node cannot read extended attributes.
#
# usage: opaque.pl ARCHITECTURE
use strict;

my $lgetxattr = $ARGV[0] eq "x64" ? 192 : 9;
my $name = "trusted.overlay.opaque";
$/ = "\0";
while (my $path = <STDIN>) {
    chomp $path;
    my $value = "\0";
    print "$path\0" if syscall($lgetxattr, $path, $name, $value, 1) == 1 && $value eq "y";
}
