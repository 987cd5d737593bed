import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readSwitch, switchWatch } from '../../functions/aws/switch.ts';
import { type Service, startService } from '../nodes/service.ts';

const parameterName = '/etcd-medic/demo/mode';

let service: Service;

beforeEach(async () => {
  service = await startService();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await service[Symbol.asyncDispose]();
});

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

describe('the switch, while a run is under way', () => {
  it.each(['observe', 'stop!'])('R16: ends it where it says %j now', async (value) => {
    service.ssm.parameters.set(parameterName, value);

    const why = await switchWatch(parameterName)();

    expect(why).toContain(value);
  });

  it.each([
    ['says auto', () => service.ssm.parameters.set(parameterName, 'auto')],
    ['is not there', () => {}],
    ['can not be read, since the run began with auto', () => vi.stubEnv('AWS_ENDPOINT_URL_SSM', 'http://127.0.0.1:1')],
  ])('R16: lets it go on where it %s', async (_, prepare) => {
    prepare();

    expect(await switchWatch(parameterName)()).toBeUndefined();
  });

  it('R16: is not asked again at once, and asked again a little later', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    service.ssm.parameters.set(parameterName, 'auto');
    const watch = switchWatch(parameterName);
    await watch();
    service.ssm.parameters.set(parameterName, 'observe');

    const atOnce = await watch();
    vi.setSystemTime(Date.now() + 16_000);
    const later = await watch();
    vi.useRealTimers();

    expect(atOnce).toBeUndefined();
    expect(later).toContain('observe');
  });
});
