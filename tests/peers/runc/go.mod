// What tests/peers/containerd.sh builds: the runc beside that containerd.
module keelson.example/peers/runc

go 1.23.0

require github.com/opencontainers/runc v1.3.6
