// Commands for a node's PATH that ask this process what to say: little bash scripts with a connection to it.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describeError } from '../../functions/contract/errors.ts';

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** What a command does when it is called, by its name. */
export type Commands = Readonly<Record<string, (args: readonly string[]) => CommandResult>>;

/**
 * Tells its name and arguments, each ended by NUL, and how many there are; is answered with the exit code and then
 * lines, each marked as standard output or standard error. bash alone starts in a few milliseconds, Node in a hundred.
 */
const script = (name: string, port: number) => `#!/bin/bash
# Stands in for ${name} on a simulated node.
exec 3<>/dev/tcp/127.0.0.1/${port} || { echo "${name}: the simulated node is gone" >&2; exit 70; }
printf '%s\\0' "$(($# + 1))" '${name}' "$@" >&3
IFS= read -r status <&3
while IFS= read -r line <&3; do
  if [[ $line == o* ]]; then printf '%s\\n' "\${line:1}"; else printf '%s\\n' "\${line:1}" >&2; fi
done
exit "\${status:-70}"
`;

export class Shims implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Writes the commands into a folder, made if missing, and answers them until it is disposed of. */
  static async start(folder: string, commands: Commands): Promise<Shims> {
    const server = createServer();
    const shims = new Shims(server);
    server.on('connection', (socket) => shims.#serve(socket, commands));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the shims listen on no port');
    await mkdir(folder, { recursive: true });
    for (const name of Object.keys(commands)) {
      const file = join(folder, name);
      await writeFile(file, script(name, address.port));
      await chmod(file, 0o755);
    }
    return shims;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #serve(socket: Socket, commands: Commands): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // A script that was killed hears no answer.
    socket.on('error', () => socket.destroy());
    let received = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const [count, ...words] = received.toString().split('\0');
      // The last one is what comes after the last NUL: nothing yet.
      if (words.length - 1 < Number(count)) return;
      const [name = '', ...args] = words.slice(0, -1);
      socket.end(answer(run(commands[name], args)));
    });
  }
}

function run(command: Commands[string] | undefined, args: readonly string[]): CommandResult {
  try {
    return command?.(args) ?? { exitCode: 127, stderr: 'command not found' };
  } catch (error) {
    return { exitCode: 70, stderr: describeError(error) };
  }
}

function answer({ exitCode, stdout = '', stderr = '' }: CommandResult): string {
  const marked = (mark: string, text: string) =>
    text === '' ? '' : `${text.replace(/\n$/, '').replace(/^/gm, mark)}\n`;
  return `${exitCode}\n${marked('o', stdout)}${marked('e', stderr)}`;
}
