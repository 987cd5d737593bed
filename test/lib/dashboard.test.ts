import { Match, type Template } from 'aws-cdk-lib/assertions';
import { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import { describe, expect, it } from 'vitest';
import { readEnvironment } from '../../functions/widget/environment.ts';
import { clusterMetric } from '../../lib/alarm-metrics.ts';
import { Dashboard } from '../../lib/dashboard.ts';
import { StateTable } from '../../lib/state-table.ts';
import { SwitchParameter } from '../../lib/switch-parameter.ts';
import { WidgetFunction } from '../../lib/widget-function.ts';
import { permissionsOf, TRACING, text } from './permissions.ts';
import { clusterWith, smallStack } from './small-stack.ts';

const NAME = 'etcd-medic-demo-widget';
const dispatchArn = 'arn:aws:lambda:eu-central-1:111122223333:function:etcd-medic-demo-dispatch';

function build(others: Readonly<Record<string, unknown>> = {}, alarms = 2) {
  return smallStack((stack) => {
    const cluster = clusterWith(others);
    const widget = new WidgetFunction(stack, 'Widget', {
      cluster,
      table: new StateTable(stack, 'State'),
      switchParameter: new SwitchParameter(stack, 'Switch', cluster),
      dispatchArn,
    });
    const metric = clusterMetric(cluster, 'NospaceAlarms');
    return new Dashboard(stack, 'Dashboard', {
      cluster,
      widget: widget.function,
      alarms: Array.from(
        { length: alarms },
        (_, index) => new Alarm(stack, `Alarm${index}`, { metric, threshold: 1, evaluationPeriods: 1 }),
      ),
    });
  });
}

/** Built once: most tests look at the same template. */
const demo = build();

interface Widget {
  readonly type: string;
  readonly width: number;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** The dashboard's body, with CloudFormation's functions written as `${Name}`. */
function widgetsOf(template: Template): readonly Widget[] {
  const [dashboard] = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
  return JSON.parse(text(dashboard?.Properties?.DashboardBody)).widgets;
}

describe('WidgetFunction', () => {
  it('is a plain function outside of the VPC that finds all that it needs in its environment', () => {
    const { template } = demo;

    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: NAME,
      Runtime: 'nodejs24.x',
      Timeout: 15,
      DurableConfig: Match.absent(),
      VpcConfig: Match.absent(),
      DeadLetterConfig: Match.absent(),
    });
    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
    const variables: Record<string, unknown> = fn?.Properties?.Environment.Variables;
    const environment = readEnvironment(
      Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, text(value)])),
    );
    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    expect(environment).toMatchObject({ cluster: { name: 'demo' }, table: `\${${tableId}}`, dispatchArn });
    expect(environment.switchParameter).toMatch(/^\$\{Switch/);
  });

  it('may read its cluster’s items and the switch, and nothing else', () => {
    const { template } = demo;

    const [tableId] = Object.keys(template.findResources('AWS::DynamoDB::Table'));
    const [logsId] = Object.keys(template.findResources('AWS::Logs::LogGroup'));
    const [switchId] = Object.keys(template.findResources('AWS::SSM::Parameter'));
    const itsItems = '{ ForAllValues:StringEquals: { dynamodb:LeadingKeys: [demo] } }';
    expect(permissionsOf(template, NAME)).toEqual([
      `Allow dynamodb:GetItem on \${${tableId}.Arn} if ${itsItems}`,
      `Allow dynamodb:Query on \${${tableId}.Arn} if ${itsItems}`,
      `Allow logs:CreateLogStream on \${${logsId}.Arn}`,
      `Allow logs:PutLogEvents on \${${logsId}.Arn}`,
      expect.stringMatching(new RegExp(`^Allow ssm:GetParameter on arn:.*:parameter\\$\\{${switchId}\\}$`)),
      ...TRACING,
    ]);
  });

  it('has a description that fits into Lambda’s 256 characters, for the longest name too', () => {
    const { template } = build({ name: 'a'.repeat(39) });

    const [fn] = Object.values(template.findResources('AWS::Lambda::Function'));
    expect(fn?.Properties?.Description.length).toBeLessThanOrEqual(256);
    expect(fn?.Properties?.FunctionName.length).toBeLessThanOrEqual(64);
  });

  it('has no finding of AWS Solutions, and neither has the dashboard', () => {
    expect(demo.findings).toEqual([]);
  });
});

describe('Dashboard', () => {
  it('has the page on top, over its whole width, drawn again whenever something changes', () => {
    const { template, built } = demo;

    const [page] = widgetsOf(template);
    const [functionId] = Object.keys(template.findResources('AWS::Lambda::Function'));
    template.hasResourceProperties('AWS::CloudWatch::Dashboard', { DashboardName: 'etcd-medic-demo' });
    expect(built.dashboardName).toBe('etcd-medic-demo');
    expect(page).toMatchObject({
      type: 'custom',
      width: 24,
      properties: {
        endpoint: `\${${functionId}.Arn}`,
        updateOn: { refresh: true, resize: true, timeRange: true },
      },
    });
  });

  it('has all alarms below, or no list where there are none', () => {
    const lists = (template: Template) => widgetsOf(template).filter(({ type }) => type === 'alarm');

    expect(lists(demo.template).map(({ properties }) => properties.alarms)).toEqual([
      [expect.stringMatching(/^\$\{Alarm0\w+\.Arn\}$/), expect.stringMatching(/^\$\{Alarm1\w+\.Arn\}$/)],
    ]);
    expect(lists(build({}, 0).template)).toEqual([]);
  });

  it('has a line where maintenance begins, as it is configured', () => {
    const { template } = build({ maintain: { quotaShareAbove: 0.725 } });

    const usage = widgetsOf(template).find(({ properties }) => properties.annotations !== undefined);
    expect(usage?.properties).toMatchObject({
      metrics: [['etcd-medic', 'QuotaUsage', 'cluster', 'demo', { stat: 'Maximum' }]],
      annotations: { horizontal: [{ value: 72.5, label: 'maintenance from 72.5 %' }] },
    });
  });

  it('finds members and runs by searching, since nobody knows here which there are', () => {
    const { template } = build({ name: 'prod-eu' });

    const metrics = widgetsOf(template).flatMap(({ properties }) => [properties.metrics ?? []].flat(2));
    const searches = metrics.flatMap((metric) =>
      typeof metric === 'object' && metric !== null && 'expression' in metric ? [metric] : [],
    );
    const members = `{"etcd-medic","cluster","member"}`;
    const kinds = `{"etcd-medic","cluster","kind"}`;
    const runs = `{"etcd-medic","cluster","outcome","service","workflow"}`;
    expect(searches.map(({ expression }) => expression)).toEqual([
      `SEARCH('${members} MetricName="DbSizeBytes" cluster="prod-eu"', 'Maximum', 300)`,
      `SEARCH('${members} MetricName="DbSizeInUseBytes" cluster="prod-eu"', 'Maximum', 300)`,
      `SEARCH('${kinds} MetricName="KindLiveBytes" cluster="prod-eu"', 'Maximum', 3600)`,
      `SEARCH('${kinds} MetricName="KindHistoryBytes" cluster="prod-eu"', 'Maximum', 3600)`,
      `SEARCH('${kinds} MetricName="KindWritesPerMinute" cluster="prod-eu"', 'Maximum', 3600)`,
      `SEARCH('${runs} MetricName="RunOutcome" cluster="prod-eu"', 'Sum', 3600)`,
      `SEARCH('${runs} MetricName="ReclaimedBytes" cluster="prod-eu"', 'Sum', 3600)`,
      `SEARCH('${runs} MetricName="DurationMs" cluster="prod-eu"', 'Maximum', 3600)`,
    ]);
    expect(searches[0]).toMatchObject({ label: `\${PROP('Dim.member')} file` });
  });
});
