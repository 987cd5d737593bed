// Loaded into a process before its program (`node --import`): how often servers have said 429 to its undici, written to
// the file that ETCD_MEDIC_BENCH_REFUSALS names when the process ends. Started by bench/prune.ts.
import { subscribe } from 'node:diagnostics_channel';
import { writeFileSync } from 'node:fs';

let refusals = 0;
subscribe('undici:request:headers', (message) => {
  const response: unknown = Reflect.get(Object(message), 'response');
  if (Reflect.get(Object(response), 'statusCode') === 429) refusals++;
});
process.on('exit', () => writeFileSync(process.env.ETCD_MEDIC_BENCH_REFUSALS ?? '', String(refusals)));
