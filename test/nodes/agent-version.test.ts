import { describe, expect, it } from 'vitest';
import { agentTooOld } from '../../functions/nodes/agent-version.ts';

describe('an SSM agent', () => {
  it.each(['3.3.2745.9', '3.3.987.0', '3.2.9999.0', '2.3.1205.0', '3.3', '3'])(
    'of %s is too old, and named',
    (version) => {
      expect(agentTooOld(version)).toBe(`its SSM agent ${version} is older than 3.3.2746.0, which the documents need`);
    },
  );

  it.each(['3.3.2746.0', '3.3.2746', '3.3.2746.1', '3.3.3050.0', '3.10.0.0', '4.0', '10.0.0.0'])(
    'of %s will do',
    (version) => {
      expect(agentTooOld(version)).toBeUndefined();
    },
  );

  it.each([undefined, '', 'latest', '3.3.x', '3..1', '-1'])(
    'whose version is %s is not called old on a guess',
    (version) => {
      expect(agentTooOld(version)).toBeUndefined();
    },
  );
});
