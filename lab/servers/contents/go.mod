// Says what an etcd database is full of, by bbolt's own walk, for tests: built by lab/control-plane/judge-contents.ts.
module etcd-medic/lab/servers/contents

go 1.26.0

require (
	go.etcd.io/bbolt v1.5.0
	go.etcd.io/etcd/api/v3 v3.7.3
	google.golang.org/protobuf v1.36.11
)

require golang.org/x/sys v0.49.0 // indirect
