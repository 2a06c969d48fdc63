// Command etcd is etcd's server. Its own main package is in a module that points at folders of
// its repository and so cannot be built by version; this is all that it does.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
