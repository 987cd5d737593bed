// Client certificates that nobody has to make by hand: the secrets that they are kept in, and the function that issues
// and renews them.
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { CfnPermission, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { CfnRotationSchedule, CfnSecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { CfnDocument } from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import type { ClusterConfiguration } from '../functions/contract/configuration.ts';
import { alarmName, functionName } from '../functions/contract/names.ts';
import {
  type AuthorityFiles,
  KUBEADM_AUTHORITIES,
  type Purpose,
  ROTATION_DAYS,
  signingDocumentName,
} from '../functions/contract/purposes.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import { signClientCertificateDocument } from './documents/sign-client-certificate.ts';
import { nodeCommandsPolicy } from './documents/ssm-document.ts';
import { FunctionRole } from './function-role.ts';
import { MedicFunction } from './medic-function.ts';
import { toldByAlarms } from './told-by-alarms.ts';

/**
 * Each node that is asked in vain may take nearly two minutes; after four nothing new is begun (sign.ts), and then the
 * new one is tried.
 */
const TIMEOUT = Duration.minutes(10);

/** What the secrets are for, for whoever finds them in the console. */
const WHAT: Readonly<Record<Purpose, string>> = { etcd: 'etcd', kubernetes: 'the API server' };

export interface CredentialsFunctionProps {
  /** Its `nodes` sign. What it says of the credentials that are issued doesn't count. */
  readonly cluster: ClusterConfiguration;
  /** What certificates are issued; at least one. */
  readonly issue: readonly Purpose[];
  /** Where the authorities lie on the nodes. @default kubeadm's places */
  readonly authorities?: { readonly [P in Purpose]?: AuthorityFiles | undefined } | undefined;
  /** @default it runs outside of any VPC */
  readonly network?: ClusterNetwork | undefined;
}

export class CredentialsFunction extends Construct {
  readonly function: LambdaFunction;
  /** Goes to ALARM where a certificate could not be issued or renewed. */
  readonly alarm: Alarm;
  /** The configuration with the secrets in it: what every other function of the cluster is to be given. */
  readonly cluster: ClusterConfiguration;

  /** @throws RangeError where nothing is to be issued, no nodes are configured, or no API server is */
  constructor(scope: Construct, id: string, props: CredentialsFunctionProps) {
    super(scope, id);
    const { cluster, issue } = props;
    const { nodes } = cluster;
    if (issue.length === 0 || nodes === undefined)
      throw new RangeError('certificates are issued by `nodes`: found none');
    const secrets = issue.map((purpose) => new IssuedSecret(this, purpose, cluster.name));
    this.cluster = withSecrets(cluster, secrets);
    const name = functionName(cluster.name, 'credentials');
    const document = new CfnDocument(this, 'SignClientCertificate', {
      name: signingDocumentName(cluster.name),
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content: signClientCertificateDocument(),
    });
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // A new certificate is tried before it becomes current, each where it is for.
    const network = props.network?.functionNetwork(...issue);
    const role = new FunctionRole(this, 'Role', {
      functionName: name,
      logGroup,
      inVpc: network !== undefined,
      policies: {
        Secrets: [
          new PolicyStatement({
            actions: [
              'secretsmanager:DescribeSecret',
              'secretsmanager:GetSecretValue',
              'secretsmanager:PutSecretValue',
              'secretsmanager:UpdateSecretVersionStage',
            ],
            resources: secrets.map(({ ref }) => ref),
          }),
        ],
      },
    });
    const signing = nodeCommandsPolicy(this, 'Signing', role, {
      documents: [{ documentName: signingDocumentName(cluster.name) }],
      tag: nodes.tag,
    });

    this.function = new MedicFunction(this, 'Function', {
      functionName: name,
      description:
        `Issues etcd-medic's client certificates for cluster ${cluster.name} and renews them every ${ROTATION_DAYS} days. Test with ` +
        `{"issue":"${issue[0]}"} issues one at once; the one before stays valid.`,
      source: 'credentials',
      memorySize: 512,
      timeout: TIMEOUT,
      role,
      logGroup,
      ...network?.props,
      environment: {
        ETCD_MEDIC_CLUSTER: JSON.stringify(this.cluster),
        ETCD_MEDIC_ISSUED: JSON.stringify(
          Object.fromEntries(
            issue.map((purpose) => [purpose, props.authorities?.[purpose] ?? KUBEADM_AUTHORITIES[purpose]]),
          ),
        ),
        ...network?.environment,
      },
    });
    // The first rotation begins with the schedule, and needs all of this: in the VPC also what lets the function out
    // and in.
    const before = [signing, document, ...(props.network ? [props.network] : [])];
    for (const secret of secrets) secret.rotateBy(this.function, before);
    this.alarm = alarmOf(this, name, cluster.name, this.function);
  }

  /** People hear through it where a certificate could not be issued or renewed. */
  tell(topic: ITopic): void {
    this.alarm.addAlarmAction(...toldByAlarms(this, topic, this.cluster));
  }
}

/**
 * Empty at first: the first rotation, right after its creation, puts the first certificate into it. A value here would
 * be one that CloudFormation could write over what was issued. Encrypted with the account's own key for secrets, and
 * kept when its stack goes, but not when the very deployment that makes it fails: nothing is reached with it then.
 */
class IssuedSecret extends CfnSecret {
  readonly purpose: Purpose;

  constructor(scope: Construct, purpose: Purpose, clusterName: string) {
    super(scope, `Secret-${purpose}`, {
      description: `etcd-medic's client certificate for ${WHAT[purpose]} of cluster ${clusterName}: ca, cert and key in PEM`,
    });
    this.purpose = purpose;
    this.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
  }

  /** @param before what must be there before the first rotation */
  rotateBy(rotation: LambdaFunction, before: readonly Construct[]): void {
    const scope = this.node.scope ?? this;
    const permission = new CfnPermission(scope, `Invoke-${this.purpose}`, {
      action: 'lambda:InvokeFunction',
      functionName: rotation.functionArn,
      principal: 'secretsmanager.amazonaws.com',
      sourceAccount: this.stack.account,
      sourceArn: this.ref,
    });
    const schedule = new CfnRotationSchedule(scope, `Rotation-${this.purpose}`, {
      secretId: this.ref,
      rotationLambdaArn: rotation.functionArn,
      rotationRules: { automaticallyAfterDays: ROTATION_DAYS },
      rotateImmediatelyOnUpdate: true,
    });
    schedule.node.addDependency(permission, ...before);
  }
}

function withSecrets(cluster: ClusterConfiguration, secrets: readonly IssuedSecret[]): ClusterConfiguration {
  const credentialsFor = (purpose: Purpose) => {
    const secret = secrets.find((each) => each.purpose === purpose);
    return secret && { credentials: { secretArn: secret.ref } };
  };
  const { etcd, kubernetes } = cluster;
  const forKubernetes = credentialsFor('kubernetes');
  if (forKubernetes && kubernetes === undefined) throw new RangeError('kubernetes: a certificate for no API server');
  return {
    ...cluster,
    etcd: { ...etcd, ...credentialsFor('etcd') },
    ...(kubernetes && { kubernetes: { ...kubernetes, ...forKubernetes } }),
  };
}

/**
 * Every failure is an error of the function: Secrets Manager tries again some times, and then not before the next
 * month.
 */
function alarmOf(scope: Construct, name: string, clusterName: string, fn: LambdaFunction): Alarm {
  return new Alarm(scope, 'Failed', {
    alarmName: alarmName(clusterName, 'credentials-failed'),
    alarmDescription:
      `A client certificate of etcd-medic for cluster ${clusterName} could not be issued or renewed. One that was there before is current still, ` +
      'and was good for about two months when this first came; where there was none, what needs it does not work. Do this week, and the first time ' +
      `at once: read the log of function ${name}, mend what it says, then Test on it with {"issue":"etcd"} or {"issue":"kubernetes"}.`,
    metric: fn.metricErrors({ period: Duration.minutes(5) }),
    threshold: 1,
    comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    evaluationPeriods: 1,
    // It runs for some seconds a month.
    treatMissingData: TreatMissingData.NOT_BREACHING,
  });
}
