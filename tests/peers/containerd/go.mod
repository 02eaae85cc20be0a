// What tests/peers/containerd.sh builds.
module keelson.example/peers/containerd

go 1.24.2

require github.com/containerd/containerd/v2 v2.1.9
