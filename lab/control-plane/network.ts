// The network between a plane's members and their clients, as proxies on which it can be cut.
import { LOOPBACK, type MemberSpec, type PlaneMember } from './member.ts';
import { type Blockage, type ProxyConnection, TcpProxy } from './proxy.ts';
import { connectionOwner } from './socket-owner.ts';

export interface CutOptions {
  /**
   * The other members can't reach it either, nor it them. Otherwise only clients are cut off, and the members stay
   * together.
   * @default false
   */
  readonly peers?: boolean;
  /** Its clients can't reach it. @default true */
  readonly clients?: boolean;
  /** @default 'hangs' */
  readonly how?: Blockage;
}

/** A time in which a member was cut off. */
export interface Cut extends Required<CutOptions> {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly from: number;
  /** Undefined while it lasts. */
  readonly until: number | undefined;
}

interface MemberProxies {
  readonly member: PlaneMember;
  /** Behind the proxy. */
  readonly clientPort: number;
  readonly client: TcpProxy;
  readonly peer: TcpProxy;
}

export class PlaneNetwork implements AsyncDisposable {
  readonly #proxies: MemberProxies[] = [];
  #history: Cut[] = [];
  /** By name: the member whom new connections of clients to it are led to. */
  readonly #led = new Map<string, string>();

  /** All cuts there have been, oldest first. */
  get history(): readonly Cut[] {
    return this.#history;
  }

  /**
   * Opens the proxies of a member whose spec has them; does nothing for another.
   * @throws PortTakenError
   */
  async join(member: PlaneMember, spec: MemberSpec): Promise<void> {
    if (!spec.behindProxies) return;
    const { clientPort, peerPort } = spec.behindProxies;
    const client = await TcpProxy.listen(
      { host: member.address, port: spec.clientPort },
      () => ({ host: LOOPBACK, port: this.#portBehind(member, clientPort) }),
      async () => this.#clientVerdict(member),
    );
    try {
      const peer = await TcpProxy.listen(
        { host: member.address, port: spec.peerPort },
        { host: LOOPBACK, port: peerPort },
        (connection) => this.#peerVerdict(member, peer, connection),
      );
      this.#proxies.push({ member, clientPort, client, peer });
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Breaks off the connections of a member's clients; whoever connects again is led to another member, as where an
   * address is shared.
   * @param to the member's own name lets it be itself again
   * @throws RangeError where one of them has no proxies
   */
  redirect(name: string, to: string): void {
    const { client } = this.#of(name);
    this.#of(to);
    this.#led.set(name, to);
    for (const connection of client.connections) connection.end();
  }

  /** @throws RangeError where this member has no proxies */
  async cut(name: string, { peers = false, clients = true, how = 'hangs' }: CutOptions = {}): Promise<void> {
    const { member, client, peer } = this.#of(name);
    this.heal(name);
    const cut: Cut = { name, peers, clients, how, from: Date.now(), until: undefined };
    this.#history.push(cut);
    if (clients) for (const connection of client.connections) connection.block(how);
    if (!peers) return;
    for (const connection of peer.connections) connection.block(how);
    for (const other of this.#proxies) {
      if (other.member === member) continue;
      for (const connection of other.peer.connections) {
        const sender = await this.#sender(other.peer, connection);
        // Healed meanwhile: what is blocked now would stay so for ever.
        if (!this.#history.includes(cut)) return;
        if (sender === member) connection.block(how);
      }
    }
  }

  /**
   * Lets everything through again, also what was held back. Does nothing where nothing was cut.
   * @throws RangeError where this member has no proxies
   */
  heal(name: string): void {
    this.#of(name);
    if (!this.#history.some((cut) => cut.name === name && cut.until === undefined)) return;
    this.#history = this.#history.map((cut) =>
      cut.name === name && cut.until === undefined ? { ...cut, until: Date.now() } : cut,
    );
    for (const { member, client, peer } of this.#proxies) {
      if (!this.#clientVerdict(member)) for (const connection of client.connections) connection.open();
      for (const connection of peer.connections) {
        this.#peerVerdict(member, peer, connection).then(
          (blockage) => blockage === undefined && connection.open(),
          () => connection.end(),
        );
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#proxies.flatMap(({ client, peer }) => [client, peer].map((each) => each[Symbol.asyncDispose]())),
    );
  }

  #clientVerdict(member: PlaneMember): Blockage | undefined {
    const cut = this.#cutOf(member);
    return cut?.clients ? cut.how : undefined;
  }

  #portBehind({ name }: PlaneMember, ownPort: number): number {
    const to = this.#led.get(name);
    return to === undefined ? ownPort : this.#of(to).clientPort;
  }

  /** Whether a connection between two members is cut at either of them. */
  async #peerVerdict(to: PlaneMember, proxy: TcpProxy, connection: ProxyConnection): Promise<Blockage | undefined> {
    if (!this.#history.some(({ peers, until }) => peers && until === undefined)) return undefined;
    const from = await this.#sender(proxy, connection);
    // As it is now: it may have been healed meanwhile, and then nobody asks again.
    return this.#history.find(
      ({ name, peers, until }) => peers && until === undefined && (name === to.name || name === from?.name),
    )?.how;
  }

  async #sender(proxy: TcpProxy, { localPort }: ProxyConnection): Promise<PlaneMember | undefined> {
    const pids = this.#proxies.flatMap(({ member: { pid } }) => (pid === undefined ? [] : [pid]));
    const owner = await connectionOwner({ localPort, remotePort: proxy.port }, pids);
    return owner === undefined ? undefined : this.#proxies.find(({ member }) => member.pid === owner)?.member;
  }

  #cutOf({ name }: PlaneMember): Cut | undefined {
    return this.#history.find((cut) => cut.name === name && cut.until === undefined);
  }

  #of(name: string): MemberProxies {
    const found = this.#proxies.find(({ member }) => member.name === name);
    if (!found) throw new RangeError(`${name} has no proxies: start the plane with \`proxies: true\``);
    return found;
  }
}
