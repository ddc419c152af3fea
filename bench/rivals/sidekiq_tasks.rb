# The task of sidekiq_drain.py: burns BENCH_WORK_US microseconds of its thread's CPU time.
#   sidekiq -r ./sidekiq_tasks.rb ...    ruby sidekiq_tasks.rb enqueue N | version
require "sidekiq"

# Debian's Sidekiq calls its Redis client in a deprecated way; the warning for each job would slow it down.
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)

class BenchTask
  include Sidekiq::Worker
  sidekiq_options queue: "bench", retry: false

  WORK = Integer(ENV.fetch("BENCH_WORK_US", "0")) / 1e6

  def perform
    finish = Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) + WORK
    nil while Process.clock_gettime(Process::CLOCK_THREAD_CPUTIME_ID) < finish
  end
end

if $PROGRAM_NAME == __FILE__
  case ARGV[0]
  when "version" then puts Sidekiq::VERSION
  when "enqueue"
    Integer(ARGV[1]).then do |left|
      until left.zero?
        count = [left, 1000].min
        Sidekiq::Client.push_bulk("class" => BenchTask, "args" => Array.new(count) { [] })
        left -= count
      end
    end
  else abort "usage: sidekiq_tasks.rb enqueue N | version"
  end
end
