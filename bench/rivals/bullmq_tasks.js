// The task of bullmq_drain.py, its queue and its worker: node bullmq_tasks.js enqueue N | worker | latency N | version
const { Queue, QueueEvents, Worker } = require("bullmq");
const Redis = require("ioredis");

const NAME = "bench";
const WORK_US = Number(process.env.BENCH_WORK_US || 0);
const url = new URL(process.env.BENCH_BROKER || "redis://127.0.0.1:6379/0");
const connection = {
  host: url.hostname,
  port: Number(url.port || 6379),
  username: url.username || undefined,
  password: decodeURIComponent(url.password) || undefined,
  db: Number(url.pathname.slice(1) || 0),
  maxRetriesPerRequest: null,
};

// Microseconds of this process: its JavaScript runs on one thread, and this is the nearest to that thread's time.
function cpu() {
  const used = process.cpuUsage();
  return used.user + used.system;
}

async function work() {
  if (WORK_US === 0) return;
  const end = cpu() + WORK_US;
  while (cpu() < end);
}

async function enqueue(tasks) {
  const queue = new Queue(NAME, { connection });
  for (let left = tasks; left > 0; left -= 1000) {
    await queue.addBulk(Array.from({ length: Math.min(left, 1000) }, () => ({ name: "noop", data: {} })));
  }
  await queue.close();
}

async function latency(rounds) {
  const queue = new Queue(NAME, { connection });
  // From the last event on: "from now on", its default, is when its first XREAD arrives, and misses a job done by then.
  const redis = new Redis(connection);
  const newest = await redis.xrevrange(`bull:${NAME}:events`, "+", "-", "COUNT", 1);
  redis.disconnect();
  const events = new QueueEvents(NAME, { connection, lastEventId: newest.length ? newest[0][0] : "0-0" });
  await events.waitUntilReady();
  const times = [];
  for (let i = 0; i < rounds; i += 1) {
    const start = performance.now();
    const job = await queue.add("noop", {});
    await job.waitUntilFinished(events, 30000);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  console.log(times[Math.floor(times.length / 2)]);
  await events.close();
  await queue.close();
}

function worker() {
  const running = new Worker(NAME, work, { connection, concurrency: 1 });
  running.on("failed", (job, error) => console.error(`bullmq_tasks: ${error}`));
  process.on("SIGTERM", () => running.close().then(() => process.exit(0)));
}

const [command, count] = process.argv.slice(2);
const commands = {
  enqueue: () => enqueue(Number(count)),
  latency: () => latency(Number(count)),
  version: async () => console.log(require("bullmq/package.json").version),
  worker: async () => worker(),
};
if (!commands[command]) {
  console.error("usage: bullmq_tasks.js enqueue N | worker | latency N | version");
  process.exit(2);
}
commands[command]().catch((error) => {
  console.error(`bullmq_tasks: ${error}`);
  process.exit(1);
});
