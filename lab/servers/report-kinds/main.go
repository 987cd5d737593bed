// Prints reports as JSON, one a line: of each kind that Kyverno 1.19 writes, made of the types of Kyverno and
// openreports, with the labels and owners of pkg/utils/report/new.go and metadata.go of Kyverno.
//
//	sample-reports NAMESPACE API-VERSION KIND NAME UID
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	policyreport "github.com/kyverno/kyverno/api/policyreport/v1alpha2"
	reports "github.com/kyverno/kyverno/api/reports/v1"
	openreports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func main() {
	if len(os.Args) != 6 {
		fmt.Fprintln(os.Stderr, "expected NAMESPACE API-VERSION KIND NAME UID")
		os.Exit(2)
	}
	namespace := os.Args[1]
	owner := meta.OwnerReference{APIVersion: os.Args[2], Kind: os.Args[3], Name: os.Args[4], UID: types.UID(os.Args[5])}
	out := json.NewEncoder(os.Stdout)
	for _, object := range all(namespace, owner) {
		if err := out.Encode(object); err != nil {
			panic(err)
		}
	}
}

func all(namespace string, owner meta.OwnerReference) []any {
	scope := &core.ObjectReference{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID}
	result := openreports.ReportResult{
		Source: "kyverno", Policy: "require-labels", Rule: "check-team", Category: "Best Practices",
		Severity: "medium", Result: "fail", Scored: true, Description: "validation error: the label team is required",
		Timestamp: meta.Timestamp{Seconds: 1791000000}, Properties: map[string]string{"process": "background scan"},
	}
	spec := reports.EphemeralReportSpec{
		Owner: owner, Summary: openreports.ReportSummary{Fail: 1}, Results: []openreports.ReportResult{result},
	}
	old := policyreport.PolicyReportResult{
		Source: result.Source, Policy: result.Policy, Rule: result.Rule, Category: result.Category, Severity: "medium",
		Result: "fail", Scored: true, Message: result.Description, Timestamp: result.Timestamp,
		Properties: result.Properties,
	}
	summary := policyreport.PolicyReportSummary{Fail: 1}
	uid := string(owner.UID)
	return []any{
		&reports.EphemeralReport{TypeMeta: kind("reports.kyverno.io/v1", "EphemeralReport"),
			ObjectMeta: named(uid+"-background", namespace, "background-scan", owner, owner), Spec: spec},
		// What is written at admission has no owner until it is merged.
		&reports.EphemeralReport{TypeMeta: kind("reports.kyverno.io/v1", "EphemeralReport"),
			ObjectMeta: named(uid+"-admission", namespace, "admission", owner), Spec: spec},
		&reports.ClusterEphemeralReport{TypeMeta: kind("reports.kyverno.io/v1", "ClusterEphemeralReport"),
			ObjectMeta: named(uid+"-admission", "", "admission", owner), Spec: spec},
		&policyreport.PolicyReport{TypeMeta: kind("wgpolicyk8s.io/v1alpha2", "PolicyReport"),
			ObjectMeta: named(uid, namespace, "", owner, owner), Scope: scope, Summary: summary,
			Results: []policyreport.PolicyReportResult{old}},
		&policyreport.ClusterPolicyReport{TypeMeta: kind("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"),
			ObjectMeta: named(uid, "", "", owner, owner), Scope: scope, Summary: summary,
			Results: []policyreport.PolicyReportResult{old}},
		&openreports.Report{TypeMeta: kind("openreports.io/v1alpha1", "Report"),
			ObjectMeta: named(uid, namespace, "", owner, owner), Source: "kyverno", Scope: scope,
			Summary: spec.Summary, Results: spec.Results},
		&openreports.ClusterReport{TypeMeta: kind("openreports.io/v1alpha1", "ClusterReport"),
			ObjectMeta: named(uid, "", "", owner, owner), Source: "kyverno", Scope: scope,
			Summary: spec.Summary, Results: spec.Results},
	}
}

func kind(apiVersion, kind string) meta.TypeMeta {
	return meta.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func named(name, namespace, source string, of meta.OwnerReference, owners ...meta.OwnerReference) meta.ObjectMeta {
	labels := map[string]string{"app.kubernetes.io/managed-by": "kyverno"}
	annotations := map[string]string{}
	if source != "" {
		group, version, found := strings.Cut(of.APIVersion, "/")
		if !found {
			group, version = "", group
		}
		labels["audit.kyverno.io/source"] = source
		labels["audit.kyverno.io/resource.uid"] = string(of.UID)
		labels["audit.kyverno.io/resource.kind"] = of.Kind
		labels["audit.kyverno.io/resource.group"] = group
		labels["audit.kyverno.io/resource.version"] = version
		annotations["audit.kyverno.io/resource.name"] = of.Name
		annotations["audit.kyverno.io/resource.namespace"] = namespace
	}
	return meta.ObjectMeta{
		Name: name, Namespace: namespace, Labels: labels, Annotations: annotations, OwnerReferences: owners,
	}
}
