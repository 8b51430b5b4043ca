// SPDX-License-Identifier: Apache-2.0

// Go's redigo, as Debian installs it. How results are told: see ../drivers.py.
package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

const compareAndDelete = `
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
`

func connect(socket string, database int) redis.Conn {
	connection, err := redis.Dial("unix", socket, redis.DialDatabase(database), redis.DialReadTimeout(25*time.Second))
	if err != nil {
		panic(err)
	}
	return connection
}

func check(what string, found interface{}, err error, expected interface{}) {
	if err != nil {
		panic(fmt.Errorf("%s: %v", what, err))
	}
	if b, ok := found.([]byte); ok {
		found = string(b)
	}
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		panic(fmt.Errorf("%s: %.200v instead of %.200v", what, found, expected))
	}
}

func session(socket, name string) {
	client, key := connect(socket, 1), "session:"+name
	do := func(what string, expected interface{}, command string, arguments ...interface{}) {
		found, err := client.Do(command, arguments...)
		check(what, found, err, expected)
	}
	value := "cart=1\r\n\x00" + string(bytes.Repeat([]byte("x"), 100000))
	do("create", "OK", "SETEX", key, 60, value)
	do("read", value, "GET", key)
	found, err := connect(socket, 0).Do("GET", key)
	check("on database 1 only", found, err, nil)
	do("touch", 1, "EXPIRE", key, 120)
	do("write", "OK", "SET", key, "cart=2", "EX", 120)
	do("read again", "cart=2", "GET", key)
	do("lock", "OK", "SET", key+":lock", "mine", "NX", "PX", 10000)
	do("lock twice", nil, "SET", key+":lock", "other", "NX", "PX", 10000)

	// EVALSHA, and EVAL where the server does not know it.
	unlock := redis.NewScript(1, compareAndDelete)
	found, err = unlock.Do(client, key+":lock", "other")
	check("unlock another's", found, err, 0)
	found, err = unlock.Do(client, key+":lock", "mine")
	check("unlock", found, err, 1)

	client.Send("GET", key)
	client.Send("HSET", key+":hash", "a", 1)
	found, err = redis.Strings(client.Do("HGETALL", key+":hash"))
	check("pipeline", found, err, "[a 1]")
	client.Send("MULTI")
	client.Send("SETEX", key+":n", 60, 4)
	client.Send("INCR", key+":n")
	found, err = redis.Values(client.Do("EXEC"))
	check("transaction", found, err, "[OK 5]")

	subscriber := redis.PubSubConn{Conn: connect(socket, 1)}
	if err := subscriber.Subscribe(key + ":news"); err != nil {
		panic(err)
	}
	subscriber.ReceiveWithTimeout(5 * time.Second)
	do("publish", 1, "PUBLISH", key+":news", "hello")
	message, _ := subscriber.ReceiveWithTimeout(5 * time.Second).(redis.Message)
	check("message", message.Data, nil, "hello")

	if _, err := client.Do("LPUSH", key, "x"); err == nil || !strings.HasPrefix(err.Error(), "WRONGTYPE") {
		panic(fmt.Errorf("wrong type: %v", err))
	}
	do("delete", 3, "DEL", key, key+":hash", key+":n")
	do("gone", nil, "GET", key)
}

func oneRound(client redis.Conn, name string, number int) {
	key, value := fmt.Sprintf("loop:%s:%d", name, number), fmt.Sprintf("%s-%d", name, number)
	found, err := client.Do("SETEX", key, 600, value)
	check("write", found, err, "OK")
	fmt.Println("ack", key, value)
	found, err = client.Do("GET", key)
	check("read", found, err, value)
	if number%10 == 9 {
		old := fmt.Sprintf("loop:%s:%d", name, number-5)
		_, err = client.Do("DEL", old)
		check("delete", nil, err, nil)
		fmt.Println("gone", old)
	}
}

func loop(socket, name, stopFile string) {
	client, longest, deadline := connect(socket, 1), time.Duration(0), time.Now().Add(90*time.Second)
	for number := 0; time.Now().Before(deadline); number++ {
		if _, err := os.Stat(stopFile); err == nil {
			break
		}
		began := time.Now()
		func() {
			defer func() {
				if err := recover(); err != nil {
					fmt.Println("error", strings.ReplaceAll(fmt.Sprint(err), "\n", " "))
					time.Sleep(50 * time.Millisecond)
				}
			}()
			oneRound(client, name, number)
		}()
		if took := time.Since(began); took > longest {
			longest = took
		}
		time.Sleep(3 * time.Millisecond)
	}
	fmt.Println("longest", longest.Milliseconds())
}

func main() {
	mode, socket, name := os.Args[1], os.Args[2], os.Args[3]
	if mode == "loop" {
		loop(socket, name, os.Args[4])
		return
	}
	fmt.Println("version", os.Getenv("DRIVER_VERSION")+", compiled by "+runtime.Compiler)
	defer func() {
		if err := recover(); err != nil {
			fmt.Fprintln(os.Stderr, "Error:", err)
			os.Exit(1)
		}
	}()
	session(socket, name)
}
