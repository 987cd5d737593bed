// R16: the switch by which a person stops a cluster's runs from changing anything, at once and without a deployment.
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { switchParameterName } from './names.ts';

/**
 * Begins as `auto`. A deployment leaves it as a person has set it: CloudFormation writes a value only when the
 * template's own has changed, and this one never does.
 */
export class SwitchParameter extends StringParameter {
  /** What turns it to `observe`, for a shell. */
  readonly command: string;

  constructor(scope: Construct, id: string, cluster: ClusterConfiguration) {
    const parameterName = switchParameterName(cluster);
    const command = `aws ssm put-parameter --overwrite --name ${parameterName} --value observe`;
    super(scope, id, {
      parameterName,
      stringValue: 'auto',
      allowedPattern: '^(auto|observe)$',
      description:
        `auto: etcd-medic acts on cluster ${cluster.name}. observe: it looks, plans and changes nothing. ` +
        `To stop it: ${command}. To let it act again, the same with --value auto.`,
    });
    this.command = command;
  }
}
