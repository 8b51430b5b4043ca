# SPDX-License-Identifier: Apache-2.0
# frozen_string_literal: true

# What the Ruby clients share: the two modes, and how results are told (see ../drivers.py).
$stdout.sync = true # A slow loop must be seen at work.

def check(what, found, expected)
  raise "#{what}: #{found.inspect} instead of #{expected.inspect}" unless found == expected
end

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

# Calls round with 0, 1, ... until the file is there.
def run_loop(stop_file, round)
  longest = 0.0
  number = 0
  deadline = now + 90
  until File.exist?(stop_file) || now > deadline
    began = now
    begin
      round.call(number)
    rescue StandardError => e
      puts "error #{e.class} #{e.message.tr("\n", ' ')}"
      sleep 0.05
    end
    longest = [longest, now - began].max
    number += 1
    sleep 0.003
  end
  puts "longest #{(longest * 1000).round}"
end

# Arguments: `session SOCKET NAME` or `loop SOCKET NAME STOPFILE`. The block returns the lambda of one round.
def main(version, session)
  mode, socket, name, stop_file = ARGV
  return run_loop(stop_file, yield(socket, name)) if mode == 'loop'

  puts "version #{version}"
  session.call(socket, name)
end
