// R11, checked on when kubelets were restarted: only where etcd doesn't answer, together without a quorum, one by one
// with it.
import { UNSEEN_MS, type WatchedMember, type WatchedRun } from './watched-run.ts';

/** Commands to several nodes at the same time start within this. */
const TOGETHER_MS = 10_000;

/** @returns a sentence for each violation */
export function kubelets(run: WatchedRun): string[] {
  const restarts = run.members
    .flatMap((member) => member.kubeletRestarts.filter((at) => at >= run.from).map((at) => ({ member, at })))
    .sort((a, b) => a.at - b.at);
  const quorum = Math.floor(run.members.length / 2) + 1;
  const held = (at: number) => run.members.filter((member) => answers(member, at)).length >= quorum;
  return restarts.flatMap(({ member, at }, i) => {
    const found: string[] = [];
    if (answers(member, at - UNSEEN_MS) && answers(member, at)) {
      found.push(`R11: the kubelet of ${member.name} was restarted while its etcd answered`);
    }
    const before = restarts.slice(0, i).filter((earlier) => earlier.member !== member);
    const previous = before.at(-1);
    if (previous && held(previous.at) && held(at) && !answers(previous.member, at)) {
      found.push(
        `R11: the kubelet of ${member.name} was restarted before ${previous.member.name} was back, though there was a quorum`,
      );
    }
    const lost = before.find((earlier) => !held(earlier.at) && !answers(member, earlier.at));
    if (lost && at - lost.at > TOGETHER_MS) {
      found.push(
        `R11: the kubelets of ${lost.member.name} and ${member.name} were not restarted together, though there was no quorum`,
      );
    }
    return found;
  });
}

/** Its process serves, whatever the others do. */
function answers({ absences }: WatchedMember, at: number): boolean {
  return !absences.some(({ from, until }) => from <= at && at < until);
}
