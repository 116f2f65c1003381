#!/usr/bin/perl
# place.pl FROM TO OFFSET: writes the bytes of FROM into TO from OFFSET on, passing over its holes.
use strict;
use warnings;

use constant { SEEK_DATA => 3, SEEK_HOLE => 4, PIECE => 1 << 20 };

my ($source, $target, $offset) = @ARGV;
open my $from, '<:raw', $source or die "$source: $!\n";
open my $to, '+<:raw', $target or die "$target: $!\n";
my $at = 0;
while (defined(my $start = sysseek $from, $at, SEEK_DATA)) {
    my $end = sysseek $from, $start, SEEK_HOLE;
    die "$source: $!\n" unless defined $end;
    sysseek $from, $start, 0 or die "$source: $!\n";
    sysseek $to, $offset + $start, 0 or die "$target: $!\n";
    for (my $left = $end - $start; $left > 0;) {
        my $read = sysread $from, my $piece, $left < PIECE ? $left : PIECE;
        die "$source: ", (defined $read ? "ended early" : $!), "\n" unless $read;
        for (my $done = 0; $done < $read;) {
            my $wrote = syswrite $to, $piece, $read - $done, $done;
            die "$target: $!\n" unless $wrote;
            $done += $wrote;
        }
        $left -= $read;
    }
    $at = $end;
}
die "$source: $!\n" unless $!{ENXIO};
close $to or die "$target: $!\n";
