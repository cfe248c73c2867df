/* SPDX-License-Identifier: BSD-3-Clause */
/* Each row is an input and a fragment of the sentence it must get; NULL is accepted. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "clock.h"
#include "config_rig.h"
#include "config_rows.h"
#include "port_file.h"
#include "record.h"
#include "suite.h"

#define NAME64 "a123456789b123456789c123456789d123456789e123456789f123456789g123"

struct row {
    const char *key;
    const char *value;
    const char *sentence;
};

/* clang-format off */
static const struct row rows[] = {
    {"name", "a", NULL},
    {"name", "A.b_c-9", NULL},
    {"name", "", "--x: is empty"},
    {"name", "-a", "--x: \"-a\" is not a name; allowed: 1 to 63"},
    {"name", "a/b", "is not a name; allowed"},
    {"name", NAME64, "is not a name; allowed"},
    {"name", "a\tb", "control character"},
    {"name", "\xff", "not UTF-8"},
    {"nmae", "a", "--x: unknown setting \"nmae\"; allowed: name, listen, announce"},
    {"listen", "unix:/run/a.nbd", NULL},
    {"listen", "tcp:127.0.0.1:10809", NULL},
    {"listen", "unix:relative", "--x: "},
    {"listen", "/run/a.nbd", "--x: "},
    {"listen", "http://x", "--x: "},
    {"announce", "vsock:2:10809", NULL},
    {"announce", "nonsense", "--x: "},
    {"control", "unix:/run/a.ctl", NULL},
    {"control", "tcp:127.0.0.1:1", NULL}, /* whether TLS is there shows at the end */
    {"control", "tcp:name:1", "--x: URI \"tcp:name:1\": a listener needs an address"},
    {"control", "vsock:1", NULL},
    {"control", "vsock:2:1", "--x: URI \"vsock:2:1\": a listener has no CID"},
    {"announce-control", "tcp:host-a:1", NULL},
    {"announce-control", "host-a", "--x: "},
    {"tls-certificates", "/etc/pki/baton", NULL},
    {"tls-certificates", "pki", "allowed: an absolute path"},
    {"tls-psk", "/etc/baton/keys.psk", NULL},
    {"tls-psk", "keys.psk", "allowed: an absolute path"},
    {"tls-psk-user", "alpha", NULL},
    {"peer", "tcp:host-b:1", NULL},
    {"peer", "host-b", "--x: "},
    {"handoff-on-term", "unix:/run/b.ctl", NULL},
    {"handoff-on-term", "b", "--x: "},
    {"tls-psk-user", "a:b", "no colon"},
    {"tls-psk-user", "a\nb", "control character"},
    {"socket-owner", "root", NULL},
    {"socket-owner", "64055", NULL},
    {"socket-owner", "no-such-user", "--x: there is no user \"no-such-user\" here; allowed"},
    {"socket-owner", "-1", "there is no user \"-1\""},
    {"socket-group", "root", NULL},
    {"socket-group", "4294967294", NULL},
    {"socket-group", "4294967295", "there is no group \"4294967295\""},
    {"socket-group", "1x", "--x: there is no group \"1x\" here; allowed: a group's name"},
    {"socket-mode", "0660", NULL},
    {"socket-mode", "0", NULL},
    {"socket-mode", "1777", "--x: \"1777\": allowed: octal 0 to 0777"},
    {"socket-mode", "u=rw", "allowed: octal"},
    {"control-group", "root", NULL},
    {"control-group", "no-such-group", "there is no group"},
    {"insecure-plain-tcp", "on", NULL},
    {"insecure-plain-tcp", "yes", "\"yes\": allowed: on, off"},
    {"disk", "name=D,device=/x,peers-allowed=alpha", NULL},
    {"disk", "name=D,device=/x,peers-allowed=alpha,,beta", NULL},
    {"disk", "name=D,device=/x,peers-allowed=", "is empty"},
    {"disk", "name=D,device=/x,peers-allowed=alpha,,", "allowed: names of peers"},
    {"disk", "name=D,device=/x,peers-allowed=,,alpha", "allowed: names of peers"},
    {"state-dir", "/var/lib/baton/a", NULL},
    {"state-dir", "lib", "--x: \"lib\": allowed: an absolute path"},
    {"config", "/nonexistent/a.conf", "--x: cannot read /nonexistent/a.conf: No such"},
    {"config", "/", "--x: cannot read /; allowed: a regular file"},
    {"config", "/dev/zero", "allowed: a regular file"},
    {"disk", "name=D,device=/x", NULL},
    {"disk", "name=D,device=/x,,y", NULL},
    {"disk", "name=D,device=nbd://h/", NULL},
    {"disk", "name=D,device=nbd+unix:///D?socket=/s", NULL},
    {"disk", "name=D,device=nbd+vsock://2/", NULL},
    {"disk", "device=/x,name=D,vm=web,role=standby,readonly=on,cache=none", NULL},
    {"disk", "name=D,device=/x,connections=16,fail-after=30s", NULL},
    {"disk", "name=D,device=/x,on-hold=wait,description=a,,b=c", NULL},
    {"disk", "name=D,device=/x,layer=stats,layer=slice:partition=1", NULL},
    {"disk", "", "--x: \"\" is not KEY=VALUE; allowed: KEY=VALUE,..."},
    {"disk", "name=D,device=/x,", "--x: \"\" is not KEY=VALUE"},
    {"disk", "name=D,device=/x,readonly", "\"readonly\" is not KEY=VALUE"},
    {"disk", "=D,device=/x", "\"=D\" is not KEY=VALUE"},
    {"disk", "device=/x", "--x: a disk has no name; a disk needs name and device"},
    {"disk", "name=D", "--x: disk D: has no device; a disk needs name and device"},
    {"disk", "name=,device=/x", "--x: name=: is empty"},
    {"disk", "name=a b,device=/x", "--x: name=a b: not a name; allowed: 1 to 63"},
    {"disk", "name=" NAME64 ",device=/x", "not a name"},
    {"disk", "name=D,name=E,device=/x",
     "--x: disk D: key \"name\" is given twice; allowed: once"},
    {"disk", "name=D,device=/x,device=/y", "key \"device\" is given twice"},
    {"disk", "name=D,device=/x,cache=none,cache=none", "key \"cache\" is given twice"},
    {"disk", "name=D,device=x.img",
     "--x: disk D: device=x.img: allowed: an absolute path, or a URI nbd://"},
    {"disk", "name=D,device=nbds://h/", NULL},
    {"disk", "name=D,device=nbdx://h/", "allowed: an absolute path, or a URI"},
    {"disk", "name=D,device=/x,size=1",
     "--x: disk D: unknown key \"size\"; allowed: name, device, vm, role, readonly"},
    {"disk", "name=D,device=/x,Cache=none", "unknown key \"Cache\"; allowed"},
    {"disk", "name=D,device=/x,cache=fast",
     "--x: disk D: cache=fast: no such cache mode; allowed: none, writeback, "},
    {"disk", "name=D,device=nbd://h/,cache=none", "disk D: cache is for files"},
    {"disk", "name=D,device=nbd://h/,durability=writethrough", NULL},
    {"disk", "name=D,device=/x,durability=no",
     "durability=no: no such policy; allowed: keep, writethrough, owner"},
    {"disk", "name=D,device=/x,role=given", "role=given: not a role to start with"},
    {"disk", "name=D,device=/x,readonly=yes", "readonly=yes: allowed: on, off"},
    {"disk", "name=D,device=/x,vm=-", "vm=-: not a name; allowed"},
    {"disk", "name=D,device=/x,uuid=1", "uuid=1: not a UUID; allowed: hexadecimal"},
    {"disk", "name=D,device=/x,uuid=00000000-0000-0000-0000-000000000000",
     "not all zero"},
    {"disk", "name=D,device=/x,uuid=" UUID "7", "not a UUID"},
    {"disk", "name=D,device=/x,uuid=g2345678-1234-1234-1234-123456789012",
     "not a UUID"},
    {"disk", "name=D,device=/x,connections=0", "connections=0: allowed: 1 to 16"},
    {"disk", "name=D,device=/x,connections=17", "allowed: 1 to 16"},
    {"disk", "name=D,device=/x,connections=-1", "allowed: 1 to 16"},
    {"disk", "name=D,device=/x,connections=4x", "allowed: 1 to 16"},
    {"disk", "name=D,device=/x,connections=99999999999999999999", "allowed: 1 to 16"},
    {"disk", "name=D,device=/x,on-hold=fail", "on-hold=fail: allowed: wait"},
    {"disk", "name=D,device=/x,fail-after=0", "fail-after=0: every handoff would"},
    {"disk", "name=D,device=/x,fail-after=30", "\"30\" is not a duration; allowed"},
    {"disk", "name=D,device=/x,fail-after=-1s", "is not a duration"},
    {"disk", "name=D,device=/x,on-hold=wait,fail-after=1s", "contradict each other"},
    {"disk", "name=D,device=/x,appears-within=21s", "allowed: at most 20s"},
    {"disk", "name=D,device=/x,appears-within=5", "\"5\" is not a duration; allowed"},
    {"disk", "name=D,device=/x,layer=nonsense", "--x: disk D: layer=nonsense: "},
    {"disk", "name=D,device=/x,layer=", "layer=: is empty"},
    {"disk", "name=D,device=/x,description=a\nb", "control character"},
    {"disk", "name=D,device=/\xc3", "is not UTF-8"},
};

static const struct row file_rows[] = {
    {NULL, "name = \"a\";", NULL},
    {NULL, "name = \"a\"; listen = \"unix:/l\"; announce = [ \"unix:/m\" ];", NULL},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\"; readonly = true; } );", NULL},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\"; connections = 3; } );", NULL},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\"; layers = [ \"stats\" ]; } );",
     NULL},
    {NULL, "control = [ \"unix:/c\", \"tcp:127.0.0.1:1\" ];", NULL},
    {NULL, "control = \"vsock:1\"; announce-control = \"vsock:2:1\";", NULL},
    {NULL, "tls-certificates = \"/pki\";", NULL},
    {NULL, "tls-psk = \"/keys\"; tls-psk-user = \"a\";", NULL},
    {NULL, "insecure-plain-tcp = true; peers = [ \"unix:/p\" ];", NULL},
    {NULL, "handoff-on-term = \"unix:/h\"; state-dir = \"/s\";", NULL},
    {NULL, "", NULL},
    {NULL, "insecure-plain-tcp = 1;",
     "a.conf:1: insecure-plain-tcp: \"1\": allowed: on, off"},
    {NULL, "insecure-plain-tcp = \"on\"; tls-psk-user = true;",
     "a.conf:1: tls-psk-user: allowed: a text"},
    {NULL, "control = [ \"unix:/c\", \"unix:/d\" ];",
     "a.conf:1: control: is given twice (before: unix:/c)"},
    {NULL, "peer = \"unix:/p\";", "a.conf:1: peer: unknown setting; allowed: name, "},
    {NULL, "\nnaem = \"a\";",
     "a.conf:2: naem: unknown setting; allowed: name, listen, announce, control, "},
    {NULL, "name = \"a\"\n; name = \"b\";", "a.conf:2: duplicate setting name"},
    {NULL, "name = \"a", "a.conf:1: syntax error"},
    {NULL, "name = 5;", "a.conf:1: name: allowed: a text in double quotes"},
    {NULL, "\n\nname = \"-\";", "a.conf:3: name: \"-\" is not a name"},
    {NULL, "listen = { a = 1; };", "a.conf:1: listen: allowed: a text"},
    {NULL, "listen = [ \"unix:/l\", \"unix:/l\" ];", "given twice"},
    {NULL, "config = \"/x\";", "a.conf:1: config: unknown setting"},
    {NULL, "disks = [ 1 ];", "a.conf:1: disks: allowed: a list of groups"},
    {NULL, "disks = ( 1 );", "a.conf:1: a disk is a group"},
    {NULL, "disks = (\n{ name = \"D\"; device = \"/x\";\ncache = \"fast\"; } );",
     "a.conf:3: disk D: cache=fast: no such cache mode"},
    {NULL, "disks = (\n{ name = \"D\"; } );", "a.conf:2: disk D: has no device"},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\";\nlayer = ( \"stats\" ); } );",
     "a.conf:2: layer: allowed: a text"},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\";\nlayers = \"stats\"; } );",
     "a.conf:2: layers: allowed: [ \"NAME:KEY=VALUE\", ... ]"},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\";\nlayers = [ 1 ]; } );",
     "a.conf:2: layers: allowed"},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\";\nsize = 1.5; } );",
     "a.conf:2: size: allowed: a text in double quotes, a whole number"},
    {NULL, "disks = ( { name = \"D\"; device = \"/x\";\nsize = 1; } );",
     "a.conf:2: disk D: unknown key \"size\"; allowed: name, device"},
};
/* clang-format on */

static int
set_file(const char *text)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/a.conf", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ck_assert_int_eq(close(fd), 0);
    return config_set(&config, "config", path, "--config", &err);
}

START_TEST(each_setting_is_accepted_or_refused_with_its_sentence)
{
    const struct row *r = &rows[_i];
    int rc = set_option(r->key, r->value);

    if (r->sentence == NULL) {
        ck_assert_msg(rc == 0, "%s: %s", r->value, err.msg);
    } else {
        ck_assert_msg(rc == -EINVAL, "%s=%s: accepted", r->key, r->value);
        assert_says(r->sentence);
        assert_says("--x: ");
        ck_assert_uint_eq(config.nr_disks + config.nr_listen + config.nr_announce, 0);
        ck_assert(!config.has_control && config.name[0] == '\0');
    }
}
END_TEST

START_TEST(each_file_is_accepted_or_refused_with_file_and_line)
{
    const struct row *r = &file_rows[_i];
    int rc = set_file(r->value);

    if (r->sentence == NULL) {
        ck_assert_msg(rc == 0, "%s: %s", r->value, err.msg);
    } else {
        ck_assert_msg(rc == -EINVAL, "%s: accepted", r->value);
        assert_says(r->sentence);
    }
}
END_TEST

START_TEST(a_refused_file_changes_nothing)
{
    ck_assert_int_eq(set_option("listen", "unix:/old"), 0);
    ck_assert_int_eq(
        set_file("name = \"a\"; listen = \"unix:/l\"; announce = "
                 "\"unix:/l\"; control = (\"unix:/c\", \"vsock:1\"); state-dir = "
                 "\"/s\"; announce-control = \"vsock:2:1\"; tls-psk = \"/k\"; "
                 "tls-psk-user = \"a\"; insecure-plain-tcp = true;"
                 "disks = ( { name = \"D\"; device = \"/x\"; } );\nbad=1;"),
        -EINVAL);
    ck_assert_str_eq(config.name, "");
    ck_assert_uint_eq(config.nr_listen, 1);
    ck_assert_uint_eq(config.nr_announce, 0);
    ck_assert_uint_eq(config.nr_disks, 0);
    ck_assert_uint_eq(config.nr_net_control, 0);
    ck_assert(!config.has_control && !config.has_announce_control);
    ck_assert(!config.tls.is_plain_tcp_ok && config.tls.psk == NULL);
    ck_assert_ptr_null(config.tls.psk_user);
    ck_assert_ptr_null(config.state_dir);
}
END_TEST

/* Each kind of setting that a file can have; none is said before it. */
static const char *const file_lines[] = {
    "listen = [ \"unix:/l\", \"unix:/m\" ];",
    "announce = \"unix:/n\";",
    "control = (\"unix:/c\", \"vsock:1\");",
    "announce-control = \"vsock:2:1\";",
    "state-dir = \"/s\";",
    "peers = [ \"unix:/p\" ];",
    "handoff-on-term = \"unix:/h\";",
    "socket-owner = 1; socket-group = 2; socket-mode = \"0600\"; control-group = 3;",
    "tls-psk = \"/k\"; tls-psk-user = \"u\"; tls-certificates = \"/pki\";",
    "insecure-plain-tcp = true;",
    ("disks = ( { name = \"E\"; device = \"/y\"; layers = [ \"stats\" ]; },"
     " { name = \"F\"; device = \"/z\"; description = \"f\"; } );"),
};
#define NR_FILE_LINES ((int)(sizeof file_lines / sizeof file_lines[0]))

/* All lines, with a mistake before the one with this number. */
static int
set_file_with_mistake(int before)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    int rc;

    ck_assert_ptr_nonnull(f);
    for (int i = 0; i <= NR_FILE_LINES; i++) {
        (void)fprintf(f, "%s\n", i == before ? "name = \"no name\";" : "");
        (void)fprintf(f, "%s\n", i < NR_FILE_LINES ? file_lines[i] : "");
    }
    ck_assert_int_eq(fclose(f), 0);
    rc = set_file(text);
    free(text);
    return rc;
}

START_TEST(a_mistake_in_the_middle_of_a_file_leaves_what_there_was)
{
    struct service_config before;
    struct disk_config disk;

    ck_assert_int_eq(set_option("listen", "unix:/old"), 0);
    ck_assert_int_eq(set_option("disk", "name=D,device=/x,description=d"), 0);
    memcpy(&before, &config, sizeof before); /* the gaps, too */
    memcpy(&disk, config.disks, sizeof disk);
    ck_assert_int_eq(set_file_with_mistake(_i), -EINVAL);
    assert_says("is not a name");
    ck_assert_mem_eq(&before, &config, sizeof before);
    ck_assert_mem_eq(&disk, config.disks, sizeof disk);

    ck_assert_msg(set_file_with_mistake(-1) == 0, "%s", err.msg);
    ck_assert_uint_eq(config.nr_disks, 3);
    ck_assert_str_eq(config.disks[0].description, "d");
    ck_assert_str_eq(config.disks[2].description, "f");
    ck_assert_uint_eq(config.nr_listen, 3);
}
END_TEST

START_TEST(a_refused_disk_leaves_those_that_there_are)
{
    struct service_config before;

    ck_assert_int_eq(set_option("disk", "name=D,device=/x"), 0);
    memcpy(&before, &config, sizeof before);
    ck_assert_int_eq(set_option("disk", "name=E,device=/y,size=1"), -EINVAL);
    ck_assert_mem_eq(&before, &config, sizeof before);
}
END_TEST

/* A value that is accepted where nothing was said before. */
static const char *
good_value(const char *word)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].key, word) == 0 && rows[i].sentence == NULL) {
            return rows[i].value;
        }
    }
    return NULL;
}

/* "insecure-plain-tcp" and addresses that differ may be said again. */
START_TEST(a_setting_repeats_only_where_its_row_says_so)
{
    for (const struct config_row *r = config_settings; r->word != NULL; r++) {
        const char *value = good_value(r->word);
        bool is_single = !r->repeats && r->form != CONFIG_SWITCH;

        if (r->form == CONFIG_NOT_IN_FILE) {
            continue;
        }
        ck_assert_msg(value != NULL, "%s: no value in rows[]", r->word);
        ck_assert_msg(set_option(r->word, value) == 0, "%s", err.msg);
        if (is_single) {
            ck_assert_msg(set_option(r->word, value) == -EINVAL, "%s", r->word);
            assert_says("is given twice");
        }
    }
}
END_TEST

START_TEST(a_setting_of_a_file_may_not_repeat_an_option)
{
    ck_assert_int_eq(set_option("name", "a"), 0);
    ck_assert_int_eq(set_file("name = \"b\";"), -EINVAL);
    assert_says("a.conf:1: name: is given twice (before: a); allowed: once");
    ck_assert_str_eq(config.name, "a");
}
END_TEST

START_TEST(a_ninth_listener_is_refused)
{
    char uri[32];

    for (int i = 0; i < CONFIG_MAX_LISTEN; i++) {
        (void)snprintf(uri, sizeof uri, "unix:/l%d", i);
        ck_assert_int_eq(set_option("listen", uri), 0);
    }
    ck_assert_int_eq(set_option("listen", "unix:/l8"), -EINVAL);
    assert_says("--x: unix:/l8: too many; allowed: at most 8");
}
END_TEST

START_TEST(what_is_left_out_of_a_disk_has_its_default)
{
    const struct disk_config *d;

    ck_assert_int_eq(set_option("disk", "name=D,device=/x"), 0);
    d = &config.disks[0];
    ck_assert_str_eq(d->device, "/x");
    ck_assert_str_eq(d->uuid, "");
    ck_assert_str_eq(d->vm, "");
    ck_assert_ptr_null(d->description);
    ck_assert_int_eq((int)d->role, ROLE_OWNER);
    ck_assert_int_eq((int)d->cache, FILE_CACHE_WRITEBACK);
    ck_assert_int_eq((int)d->durability, CHANNEL_KEEP);
    ck_assert(!d->readonly && !d->is_nbd);
    ck_assert(d->fail_after_ns == CLOCK_NEVER);
    ck_assert_uint_eq(d->layers.nr_layers, 0);
}
END_TEST

START_TEST(every_key_of_a_disk_arrives)
{
    const struct disk_config *d;

    ck_assert_int_eq(
        set_option("disk",
                   "name=D,device=/x,,y,vm=web,role=standby,readonly=on,cache=none,"
                   "uuid=" UUID_UPPER ",description=a,,,,b,fail-after=500ms,"
                   "connections=7,layer=stats,durability=owner,appears-within=3s"),
        0);
    d = &config.disks[0];
    ck_assert_str_eq(d->device, "/x,y");
    ck_assert_str_eq(d->vm, "web");
    ck_assert_str_eq(d->uuid, UUID);
    ck_assert_str_eq(d->description, "a,,b");
    ck_assert_int_eq((int)d->role, ROLE_STANDBY);
    ck_assert_int_eq((int)d->cache, FILE_CACHE_NONE);
    ck_assert(d->readonly);
    ck_assert(d->fail_after_ns == 500 * NS_PER_MS);
    ck_assert(d->appears_within_ns == 3 * NS_PER_S);
    ck_assert_uint_eq(d->connections, 7);
    ck_assert_int_eq((int)d->durability, CHANNEL_OWNER);
    ck_assert_uint_eq(d->layers.nr_layers, 1);
}
END_TEST

START_TEST(durations_have_a_unit_and_fit)
{
    static const struct {
        const char *text;
        uint64_t ns; /* CLOCK_NEVER: refused */
    } durations[] = {
        {"0", 0},
        {"0s", 0},
        {"50us", 50000},
        {"500ms", 500 * NS_PER_MS},
        {"30s", 30 * NS_PER_S},
        {"2m", 120 * NS_PER_S},
        {"", CLOCK_NEVER},
        {"5", CLOCK_NEVER},
        {" 5s", CLOCK_NEVER},
        {"+5s", CLOCK_NEVER},
        {"-5s", CLOCK_NEVER},
        {"5 s", CLOCK_NEVER},
        {"5h", CLOCK_NEVER},
        {"1.5s", CLOCK_NEVER},
        {"99999999999999999999s", CLOCK_NEVER},
        {"18446744073709551615m", CLOCK_NEVER},
    };

    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        uint64_t ns = CLOCK_NEVER;
        int rc = config_parse_duration(durations[i].text, &err, &ns);

        ck_assert_msg(ns == durations[i].ns, "%s", durations[i].text);
        ck_assert_int_eq(rc, ns == CLOCK_NEVER ? -EINVAL : 0);
    }
}
END_TEST

SUITE("config") = {
    CASE("config", .setup = rig_set_up, .teardown = rig_tear_down),
    EACH(each_setting_is_accepted_or_refused_with_its_sentence, rows),
    EACH(each_file_is_accepted_or_refused_with_file_and_line, file_rows),
    TEST(a_refused_file_changes_nothing),
    LOOP(a_mistake_in_the_middle_of_a_file_leaves_what_there_was, NR_FILE_LINES + 1),
    TEST(a_refused_disk_leaves_those_that_there_are),
    TEST(a_setting_repeats_only_where_its_row_says_so),
    TEST(a_setting_of_a_file_may_not_repeat_an_option),
    TEST(a_ninth_listener_is_refused),
    TEST(what_is_left_out_of_a_disk_has_its_default),
    TEST(every_key_of_a_disk_arrives),
    TEST(durations_have_a_unit_and_fit),
};
