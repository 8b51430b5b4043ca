# SPDX-License-Identifier: Apache-2.0
# Perl's Redis. How results are told: see ../drivers.py.
use strict;
use warnings;
use Time::HiRes qw(time sleep);

BEGIN {
    eval { require Redis; 1 } or do { print STDERR "apt-get install libredis-perl: $@"; exit 77 };
}
use constant COMPARE_AND_DELETE =>
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";
$| = 1;

sub connect_to {
    my ($socket, $database) = @_;
    my $client = Redis->new(sock => $socket, read_timeout => 25);    # No reconnect: an error must show.
    $client->select($database // 1);
    return $client;
}

sub check {
    my ($what, $found, $expected) = @_;
    $found //= 'nothing';
    die "Error: $what: '$found' instead of '$expected'\n" if $found ne $expected;
}

sub session {
    my ($socket, $name) = @_;
    my ($client, $key, $value) = (connect_to($socket), "session:$name", "cart=1\r\n\0" . 'x' x 100_000);
    check 'create', $client->setex($key, 60, $value), 'OK';
    check 'read', $client->get($key), $value;
    check 'on database 1 only', connect_to($socket, 0)->get($key), 'nothing';
    check 'touch', $client->expire($key, 120), 1;
    my $ttl = $client->ttl($key);
    check 'TTL', $ttl > 60 && $ttl <= 120, 1;
    check 'write', $client->set($key, 'cart=2', 'EX', 120), 'OK';
    check 'read again', $client->get($key), 'cart=2';

    check 'lock', $client->set("$key:lock", 'mine', 'NX', 'PX', 10_000), 'OK';
    check 'lock twice', $client->set("$key:lock", 'other', 'NX', 'PX', 10_000), 'nothing';
    check "unlock another's", $client->eval(COMPARE_AND_DELETE, 1, "$key:lock", 'other'), 0;
    check 'unlock', $client->eval(COMPARE_AND_DELETE, 1, "$key:lock", 'mine'), 1;

    # A command with a callback goes into a pipeline.
    my @replies;
    my $take = sub { push @replies, ref $_[0] ? "@{$_[0]}" : $_[0] };
    $client->get($key, $take);
    $client->hset("$key:hash", 'a', '1', $take);
    $client->hgetall("$key:hash", $take);
    $client->wait_all_responses;
    check 'pipeline', "@replies", 'cart=2 1 a 1';
    $client->multi;
    $client->setex("$key:n", 60, 4);
    $client->incr("$key:n");
    check 'transaction', join(' ', $client->exec), 'OK 5';

    my ($heard, $subscriber) = ('', connect_to($socket));
    $subscriber->subscribe("$key:news", sub { $heard = $_[0] });
    $client->publish("$key:news", 'hello');
    $subscriber->wait_for_messages(5);
    check 'message', $heard, 'hello';

    eval { $client->lpush($key, 'x') };
    check 'wrong type', $@ =~ /WRONGTYPE/ ? 1 : $@, 1;
    check 'delete', $client->del($key, "$key:hash", "$key:n"), 3;
    check 'gone', $client->get($key), 'nothing';
}

sub one_round {
    my ($client, $name, $number) = @_;
    my $key = "loop:$name:$number";
    $client->setex($key, 600, "$name-$number");
    print "ack $key $name-$number\n";
    check 'read', $client->get($key), "$name-$number";
    check 'touch', $client->expire($key, 900), 1;
    return if $number % 10 != 9;
    my $old = "loop:$name:" . ($number - 5);
    $client->del($old);
    print "gone $old\n";
}

sub run_loop {
    my ($socket, $name, $stop_file) = @_;
    my ($client, $longest, $deadline) = (connect_to($socket), 0, time + 90);
    for (my $number = 0; !-e $stop_file && time < $deadline; $number++) {
        my $began = time;
        if (!eval { one_round($client, $name, $number); 1 }) {
            print 'error ', $@ =~ tr/\n/ /r, "\n";
            sleep 0.05;
        }
        $longest = time - $began if time - $began > $longest;
        sleep 0.003;
    }
    printf "longest %.0f\n", $longest * 1000;
}

my ($mode, $socket, $name, $stop_file) = @ARGV;
if ($mode eq 'session') {
    printf "version %s, Perl %vd\n", Redis->VERSION, $^V;
    session($socket, $name);
} else {
    run_loop($socket, $name, $stop_file);
}
