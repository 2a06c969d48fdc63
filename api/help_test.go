package api

import (
	"crypto/tls"
	"crypto/x509"
	"runtime"
)

func clientTLS(pool *x509.CertPool) *tls.Config { return &tls.Config{RootCAs: pool} }

func runtimeGosched() { runtime.Gosched() }
