import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readSwitch } from '../../functions/nodes/switch.ts';
import { type Service, startService } from './service.ts';

const parameterName = '/etcd-medic/demo/mode';

let service: Service;

beforeEach(async () => {
  service = await startService();
});
afterEach(() => service[Symbol.asyncDispose]());

describe('the switch', () => {
  it.each(['auto', 'observe'] as const)('R16: is %s when it says so', async (mode) => {
    service.ssm.parameters.set(parameterName, `${mode}\n`);

    const found = await readSwitch({ parameterName });

    expect(found).toEqual({ mode, detail: `parameter ${parameterName} says ${mode}`, isProblem: false });
  });

  it('R16: is auto where nobody made one, and says that there is none', async () => {
    const found = await readSwitch({ parameterName });

    expect(found).toEqual({
      mode: 'auto',
      detail: `there is no parameter ${parameterName}, which means auto`,
      isProblem: false,
    });
  });

  it.each(['', 'off', 'Auto', 'automatic', 'observe,auto', 'x'.repeat(4_000)])(
    'R16: stops rather than guess what %j means',
    async (value) => {
      service.ssm.parameters.set(parameterName, value);

      const { mode, detail, isProblem } = await readSwitch({ parameterName });

      expect({ mode, isProblem }).toEqual({ mode: 'observe', isProblem: true });
      expect(detail).toContain('expected auto or observe');
      expect(detail.length).toBeLessThan(200);
    },
  );

  it('R16: stops when the parameter may not be read', async () => {
    service.ssm.parameters.set(parameterName, 'auto');
    service.ssm.refuseNext('GetParameter', 1, 'AccessDeniedException');

    const { mode, detail, isProblem } = await readSwitch({ parameterName });

    expect({ mode, isProblem }).toEqual({ mode: 'observe', isProblem: true });
    expect(detail).toContain('AccessDeniedException');
  });

  it('R16: stops when Parameter Store does not answer', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_SSM', 'http://127.0.0.1:1');

    expect(await readSwitch({ parameterName })).toMatchObject({ mode: 'observe', isProblem: true });
  });

  it('R16: is read in the end when Parameter Store throttles', async () => {
    service.ssm.parameters.set(parameterName, 'observe');
    service.ssm.refuseNext('GetParameter', 2);

    expect(await readSwitch({ parameterName })).toMatchObject({ mode: 'observe', isProblem: false });
  });
});
