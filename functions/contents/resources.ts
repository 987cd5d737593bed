// Which kind and namespace a key of kube-apiserver's belongs to, by the key alone: values may be encrypted.

/** Kubernetes' oldest kinds have other names in etcd (kube-apiserver's storage factory). */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  minions: 'nodes',
  controllers: 'replicationcontrollers',
  'services/specs': 'services',
  'services/endpoints': 'endpoints',
  ingress: 'ingresses',
};

/** Keys without a folder. */
const OTHER_KEYS = 'other keys';
const SLASH = 0x2f;
const DOT = 0x2e;

export interface Resource {
  /** What the keys begin with, without the namespace: `/registry/pods/`. Empty: keys without a folder. */
  readonly prefix: string;
  /** `<plural>.<group>`, `pods`; where it is not Kubernetes', the prefix without its last slash. */
  readonly resource: string;
  /** Undefined: there is none in its keys. */
  readonly namespace: string | undefined;
}

/**
 * Where the object's name begins in its key: behind the namespace, or the kind where there is none. What is not below
 * `root` is told by its first two folders.
 * @param root what kube-apiserver's keys begin with, with its slash
 */
export function nameStart(bytes: Buffer, start: number, end: number, root: Buffer): number {
  const isBelow = beginsWith(bytes, start, end, root);
  const first = isBelow ? start + root.length : start + 1;
  const one = behindSlash(bytes, first, end);
  if (one === undefined) return isBelow ? first : start;
  const two = behindSlash(bytes, one, end);
  if (two === undefined) return one;
  if (!isBelow) return two;
  if (!hasTwoParts(bytes, first, one)) return two;
  return behindSlash(bytes, two, end) ?? two;
}

/** @param beginning a key up to where its name begins */
export function resourceOf(beginning: string, root: string): Resource {
  if (!beginning.startsWith(root)) {
    return { prefix: beginning, resource: beginning.replace(/\/$/, '') || OTHER_KEYS, namespace: undefined };
  }
  const parts = beginning.slice(root.length).split('/').slice(0, -1);
  const [first = '', second] = parts;
  const isGroup = first.includes('.');
  const [kind, namespace] =
    (isGroup || first === 'services') && second !== undefined ? [`${first}/${second}`, parts[2]] : [first, second];
  const plain = isGroup && second !== undefined ? `${second}.${first}` : (OTHER_NAMES[kind] ?? kind);
  return { prefix: `${root}${kind}${kind === '' ? '' : '/'}`, resource: plain, namespace };
}

/** A group has a dot in its name; services and their endpoints have a folder in common. */
function hasTwoParts(bytes: Buffer, first: number, next: number): boolean {
  for (let at = first; at < next; at++) if (bytes[at] === DOT) return true;
  return next - first === 9 && bytes.toString('latin1', first, next) === 'services/';
}

/** Buffer.compare costs more than this for a handful of bytes. */
function beginsWith(bytes: Buffer, start: number, end: number, root: Buffer): boolean {
  if (end - start <= root.length) return false;
  for (let index = 0; index < root.length; index++) if (bytes[start + index] !== root[index]) return false;
  return true;
}

function behindSlash(bytes: Buffer, from: number, end: number): number | undefined {
  for (let at = from; at < end; at++) if (bytes[at] === SLASH) return at + 1;
  return undefined;
}
