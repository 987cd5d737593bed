// Says what a file of bbolt's is full of, by bbolt's own API and etcd's own types: the judge of functions/contents, in
// the same words. Pages are bbolt's (Tx.Page), elements its cursors', revisions etcd's KeyValue.
//
// Input: the file's name, and the revision after which keys count as new. Output: one JSON document.
package main

import (
	"encoding/binary"
	"encoding/json"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
)

const (
	pageHeader    = 16
	elementHeader = 16
	bucketHeader  = 16
	root          = "/registry/"
)

type tally struct {
	Keys           int `json:"keys"`
	LiveBytes      int `json:"liveBytes"`
	Leased         int `json:"leased"`
	Versions       int `json:"versions"`
	NewVersions    int `json:"newVersions"`
	Revisions      int `json:"revisions"`
	HistoryBytes   int `json:"historyBytes"`
	Tombstones     int `json:"tombstones"`
	TombstoneBytes int `json:"tombstoneBytes"`
}

type namespace struct {
	Namespace string `json:"namespace"`
	tally
}

type kind struct {
	Prefix     string       `json:"prefix"`
	Namespaces []*namespace `json:"namespaces"`
	tally
}

type object struct {
	Key   string `json:"key"`
	Bytes int    `json:"bytes"`
}

type bucket struct {
	Name  string `json:"name"`
	Keys  int    `json:"keys"`
	Bytes int    `json:"bytes"`
}

type answer struct {
	Bytes    int64          `json:"bytes"`
	PageSize int            `json:"pageSize"`
	Revision string         `json:"revision"`
	Total    tally          `json:"total"`
	Kinds    []*kind        `json:"kinds"`
	Largest  []object       `json:"largest"`
	Buckets  []bucket       `json:"buckets"`
	Rest     map[string]int `json:"rest"`
}

type revision struct {
	bytes     int
	tombstone bool
	leased    bool
	version   int
	created   int64
}

func main() {
	file := os.Args[1]
	since, err := strconv.ParseInt(os.Args[2], 10, 64)
	check(err)
	stat, err := os.Stat(file)
	check(err)
	db, err := bbolt.Open(file, 0o400, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	check(err)
	size := db.Info().PageSize
	result := answer{Bytes: stat.Size(), PageSize: size, Kinds: []*kind{}, Largest: []object{}, Buckets: []bucket{}}
	check(db.View(func(tx *bbolt.Tx) error {
		result.Rest = pages(tx, size, stat.Size())
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			found := bucket{Name: string(name)}
			check(b.ForEach(func(k, v []byte) error {
				found.Keys++
				found.Bytes += len(k) + len(v)
				return nil
			}))
			// pages() took all that is no header for slack.
			around := len(name) + bucketHeader
			if b.Root() == 0 {
				around += pageHeader + found.Keys*elementHeader
			}
			result.Rest["headers"] += around
			result.Rest["slack"] -= around + found.Bytes
			if found.Name == "key" {
				result.count(b, since)
			} else {
				result.Buckets = append(result.Buckets, found)
			}
			return nil
		})
	}))
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func pages(tx *bbolt.Tx, size int, fileBytes int64) map[string]int {
	rest := map[string]int{"freePages": 0, "branchPages": 0, "metaPages": 0, "freelistPages": 0, "headers": 0, "slack": 0}
	for id := 0; ; {
		page, err := tx.Page(id)
		check(err)
		if page == nil {
			behind := int(fileBytes) - id*size
			rest["trailer"] = behind % size
			rest["unused"] = behind - behind%size
			return rest
		}
		bytes := (1 + page.OverflowCount) * size
		switch page.Type {
		case "free":
			// Its header is of when it was in use.
			bytes = size
			rest["freePages"] += bytes
		case "leaf":
			headers := pageHeader + page.Count*elementHeader
			rest["headers"] += headers
			rest["slack"] += bytes - headers
		default:
			rest[page.Type+"Pages"] += bytes
		}
		id += bytes / size
	}
}

func (result *answer) count(b *bbolt.Bucket, since int64) {
	kinds := map[string]*kind{}
	namespaces := map[string]*namespace{}
	tallies := func(key string) []*tally {
		prefix, name := where(key)
		if kinds[prefix] == nil {
			kinds[prefix] = &kind{Prefix: prefix, Namespaces: []*namespace{}}
			result.Kinds = append(result.Kinds, kinds[prefix])
		}
		found := []*tally{&result.Total, &kinds[prefix].tally}
		if name == "" {
			return found
		}
		both := prefix + name
		if namespaces[both] == nil {
			namespaces[both] = &namespace{Namespace: name}
			kinds[prefix].Namespaces = append(kinds[prefix].Namespaces, namespaces[both])
		}
		return append(found, &namespaces[both].tally)
	}
	last := map[string]revision{}
	result.Revision = "0"
	check(b.ForEach(func(k, v []byte) error {
		var kv mvccpb.KeyValue
		check(proto.Unmarshal(v, &kv))
		each := revision{bytes: len(k) + len(v), tombstone: len(k) == 18, leased: kv.Lease != 0, version: int(kv.Version), created: kv.CreateRevision}
		for _, tally := range tallies(string(kv.Key)) {
			if each.tombstone {
				tally.Tombstones++
				tally.TombstoneBytes += each.bytes
			} else {
				tally.Revisions++
				tally.HistoryBytes += each.bytes
			}
		}
		last[string(kv.Key)] = each
		result.Revision = strconv.FormatUint(binary.BigEndian.Uint64(k), 10)
		return nil
	}))
	for key, each := range last {
		if each.tombstone {
			continue
		}
		for _, tally := range tallies(key) {
			tally.Keys++
			tally.LiveBytes += each.bytes
			tally.Revisions--
			tally.HistoryBytes -= each.bytes
			if each.leased {
				tally.Leased++
			}
			tally.Versions += each.version
			if each.created > since {
				tally.NewVersions += each.version
			}
		}
		result.Largest = append(result.Largest, object{Key: key, Bytes: each.bytes})
	}
	sort.Slice(result.Largest, func(i, j int) bool {
		a, b := result.Largest[i], result.Largest[j]
		return a.Bytes > b.Bytes || (a.Bytes == b.Bytes && a.Key < b.Key)
	})
}

// The kind's prefix and the namespace.
func where(key string) (string, string) {
	if !strings.HasPrefix(key, root) {
		parts := strings.SplitAfterN(key, "/", 4)
		if !strings.HasPrefix(key, "/") {
			parts = append([]string{""}, strings.SplitAfterN(key, "/", 3)...)
		}
		if len(parts) == 2 {
			return "", ""
		}
		return strings.Join(parts[:min(len(parts)-1, 3)], ""), ""
	}
	parts := strings.Split(strings.TrimPrefix(key, root), "/")
	parts = parts[:len(parts)-1]
	kindParts := 1
	if len(parts) > 1 && (strings.Contains(parts[0], ".") || parts[0] == "services") {
		kindParts = 2
	}
	if len(parts) == 0 {
		return root, ""
	}
	prefix := root + strings.Join(parts[:kindParts], "/") + "/"
	if len(parts) > kindParts {
		return prefix, parts[kindParts]
	}
	return prefix, ""
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
