module etcd-medic.example/patterns

go 1.21
