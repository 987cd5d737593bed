// Says what Go's own regexp makes of patterns, which is what the SSM agent checks a document's parameters with
// (agent/framework/docparser/paramvalidator/allowedregexparamvalidator: regexp.Compile, then MatchString).
//
// Input: a JSON list of { pattern, values }. Output: for each of them { error } or { matches }, a bool a value.
package main

import (
	"encoding/json"
	"log"
	"os"
	"regexp"
)

type question struct {
	Pattern string   `json:"pattern"`
	Values  []string `json:"values"`
}

type answer struct {
	Error   string `json:"error,omitempty"`
	Matches []bool `json:"matches,omitempty"`
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		log.Fatalf("a JSON list of patterns and values is read from standard input: %v", err)
	}
	answers := make([]answer, len(questions))
	for i, each := range questions {
		pattern, err := regexp.Compile(each.Pattern)
		if err != nil {
			answers[i].Error = err.Error()
			continue
		}
		for _, value := range each.Values {
			answers[i].Matches = append(answers[i].Matches, pattern.MatchString(value))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
