// Program standin stays up in place of any program, and answers 200 on the ports
// of STANDIN_HTTP and STANDIN_HTTPS (lists of numbers). With STANDIN_ENDS it ends at once.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log"
	"math/big"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	if os.Getenv("STANDIN_ENDS") != "" {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	answer := http.HandlerFunc(func(writer http.ResponseWriter, _ *http.Request) {
		writer.WriteHeader(http.StatusOK)
	})
	for _, port := range ports("STANDIN_HTTP") {
		go serve(&http.Server{Addr: ":" + port, Handler: answer})
	}
	for _, port := range ports("STANDIN_HTTPS") {
		own := &tls.Config{Certificates: []tls.Certificate{certificate()}}
		go serve(&http.Server{Addr: ":" + port, Handler: answer, TLSConfig: own})
	}
	<-signals
}

func ports(name string) []string {
	return strings.Fields(strings.ReplaceAll(os.Getenv(name), ",", " "))
}

func serve(server *http.Server) {
	if server.TLSConfig != nil {
		log.Print(server.ListenAndServeTLS("", ""))
	} else {
		log.Print(server.ListenAndServe())
	}
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key}
}
