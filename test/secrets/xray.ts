// X-Ray's daemon as far as it can be told anything: a port that hears segments. Lambda's own part of a trace does not
// come by it.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface XRayDaemon extends AsyncDisposable {
  /** What was sent to it, each as one text. */
  readonly packets: readonly string[];
  /**
   * Sends it something, and waits until it has heard that: from then on it has heard everything that was sent before.
   */
  settle(): Promise<void>;
}

/** Every invocation from now on is one that is traced. To be called before the functions are loaded. */
export async function startXRayDaemon(): Promise<XRayDaemon> {
  const packets: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (packet) => packets.push(packet.toString()));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  const variables = {
    AWS_XRAY_DAEMON_ADDRESS: `127.0.0.1:${port}`,
    _X_AMZN_TRACE_ID: 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1',
  };
  Object.assign(process.env, variables);
  return {
    packets,
    settle: async () => {
      const heard = once(socket, 'message');
      socket.send('settled', port, '127.0.0.1');
      await heard;
    },
    [Symbol.asyncDispose]: async () => {
      for (const name of Object.keys(variables)) delete process.env[name];
      socket.close();
      await once(socket, 'close');
    },
  };
}
