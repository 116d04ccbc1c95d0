// BullMQ on Node: jobs are added in bulk, a worker takes them. Jobs that ended stay, as is its way. Speaks the
// protocol of `bench-served`: the same arguments, phases and line of results.

import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';

const CALLERS = 50;
const TICK_MS = 10; // 1 / sysconf(_SC_CLK_TCK)

const args = { mode: 'batch', jobs: '20000', batch: '1000', slots: '50', 'gap-us': '0' };
for (let at = 2; at < process.argv.length; at += 2) {
  args[process.argv[at].replace(/^--/, '')] = process.argv[at + 1];
}
for (const key of ['jobs', 'batch', 'slots', 'gap-us']) args[key] = Number(args[key]);

const open = () => new Redis(args.url, { maxRetriesPerRequest: null });
const queue = new Queue('bench', { connection: open() });
const probe = open();

const begun = performance.now();
const now = () => performance.now() - begun; // ms

const runs = new Uint8Array(args.jobs + CALLERS);
const started = new Float64Array(args.jobs);
let left = args.jobs;
let last;
const all = new Promise((resolve) => (last = resolve));

async function handle(job) {
  const number = job.data.number;
  if (runs[number]++ > 0) return;
  started[number] = now();
  if (--left === 0) last();
}

function payload(number, at) {
  const frame = JSON.stringify({ number, at, text: '' }).length;
  return { number, at, text: 'x'.repeat(1024 - frame) };
}

function serverMs() {
  const stat = readFileSync(`/proc/${args['server-pid']}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ').map(Number);
  return (fields[11] + fields[12] + fields[13] + fields[14]) * TICK_MS; // utime, stime, and of children
}

async function info(section, key) {
  const text = await probe.info(section);
  return Number(text.match(new RegExp(`^${key}:(\\d+)`, 'm'))[1]);
}

async function start() {
  const stats = await probe.info('stats');
  const count = (key) => Number(stats.match(new RegExp(`^${key}:(\\d+)`, 'm'))[1]);
  const bytes = count('total_net_input_bytes') + count('total_net_output_bytes');
  const commands = count('total_commands_processed');
  return { bytes, commands, server: serverMs(), cpu: process.cpuUsage(), wall: performance.now() };
}

async function lap(from) {
  const wall = performance.now() - from.wall;
  const used = process.cpuUsage(from.cpu);
  const to = await start();
  return {
    wall,
    client: (used.user + used.system) / 1000,
    server: to.server - from.server,
    bytes: to.bytes - from.bytes,
    commands: to.commands - from.commands,
  };
}

function rates(phase, jobs, lap) {
  return {
    [`${phase}_per_s`]: (jobs * 1000) / lap.wall,
    [`${phase}_client_us`]: (lap.client * 1000) / jobs,
    [`${phase}_server_us`]: (lap.server * 1000) / jobs,
    [`${phase}_cpu_us`]: ((lap.client + lap.server) * 1000) / jobs,
    [`${phase}_bytes`]: lap.bytes / jobs,
    [`${phase}_commands`]: lap.commands / jobs,
  };
}

function work() {
  const worker = new Worker('bench', handle, { connection: open(), concurrency: args.slots });
  worker.on('error', (error) => console.error(error));
  return worker;
}

function twice() {
  const counted = runs.subarray(0, args.jobs);
  const missing = counted.filter((times) => times === 0).length;
  if (missing > 0) throw new Error(`${missing} jobs did not run`);
  return counted.reduce((sum, times) => sum + times - 1, 0);
}

async function batch() {
  const before = await info('memory', 'used_memory');
  let watch = await start();
  for (let from = 0; from < args.jobs; from += args.batch) {
    const jobs = [];
    for (let number = from; number < Math.min(args.jobs, from + args.batch); number++) {
      jobs.push({ name: 'work', data: payload(number, 0) });
    }
    await queue.addBulk(jobs);
  }
  const enqueue = await lap(watch);
  const memory = ((await info('memory', 'used_memory')) - before) / args.jobs;
  watch = await start();
  const worker = work();
  await all;
  // The acknowledgements of the last few go on.
  const execute = await lap(watch);
  await worker.close();
  const counts = await queue.getJobCounts('completed');
  if (counts.completed !== args.jobs) throw new Error(`${counts.completed} jobs completed`);
  const both = {};
  for (const key of Object.keys(enqueue)) both[key] = enqueue[key] + execute[key];
  return {
    ...rates('enqueue', args.jobs, enqueue),
    ...rates('execute', args.jobs, execute),
    ...rates('both', args.jobs, both),
    memory,
    twice: twice(),
  };
}

async function single() {
  let watch = await start();
  for (let number = 0; number < args.jobs; number++) await queue.add('work', payload(number, 0));
  const one = rates('one', args.jobs, await lap(watch));
  const each = Math.ceil(args.jobs / CALLERS);
  watch = await start();
  const caller = async () => {
    for (let number = 0; number < each; number++) await queue.add('work', payload(number, 0));
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  return { ...one, ...rates('many', each * CALLERS, await lap(watch)) };
}

async function pickup() {
  const worker = work();
  await worker.waitUntilReady();
  await sleep(1000);
  const made = [];
  const accepted = [];
  const pushes = [];
  let due = now();
  for (let number = 0; number < args.jobs; number++) {
    due += args['gap-us'] > 0 ? args['gap-us'] / 1000 : 50 + ((number * 37) % 50);
    await sleep(Math.max(0, due - now()));
    made[number] = now();
    // One that takes longer than the gap does not hold up the next.
    pushes.push(queue.add('work', payload(number, 0)).then(() => (accepted[number] = now())));
  }
  await Promise.all([all, ...pushes]);
  await worker.close();
  const out = { twice: twice() };
  for (const [what, from] of [['pickup', accepted], ['since_call', made]]) {
    const waits = from.map((at, job) => Math.max(0, started[job] - at)).sort((a, b) => a - b);
    for (const [name, part] of [['p50', 0.5], ['p99', 0.99], ['max', 1]]) {
      out[`${what}_${name}_ms`] = waits[Math.ceil(waits.length * part) - 1];
    }
  }
  return out;
}

const phases = { batch, single, pickup };
const numbers = await phases[args.mode]();
console.log(JSON.stringify({ peer: 'bullmq', ...numbers }));
process.exit(0);
