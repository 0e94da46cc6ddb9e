-- A zone to try: dig @127.0.0.1 -p 5300 www.example.test

INSERT INTO domains (name, type) VALUES ('example.test', 'NATIVE');
SET @zone = LAST_INSERT_ID();

INSERT INTO records (domain_id, name, type, content, ttl, prio) VALUES
    (@zone, 'example.test', 'SOA',
     'ns1.example.test hostmaster.example.test 1 3600 600 86400 60', 3600, NULL),
    (@zone, 'example.test', 'NS', 'ns1.example.test', 3600, NULL),
    (@zone, 'example.test', 'MX', 'mail.example.test', 3600, 10),
    (@zone, 'example.test', 'TXT', '"v=spf1 mx -all"', 3600, NULL),
    (@zone, 'ns1.example.test', 'A', '192.0.2.53', 3600, NULL),
    (@zone, 'mail.example.test', 'A', '192.0.2.25', 3600, NULL),
    (@zone, 'www.example.test', 'A', '192.0.2.80', 300, NULL),
    (@zone, 'www.example.test', 'AAAA', '2001:db8::80', 300, NULL),
    (@zone, 'alias.example.test', 'CNAME', 'www.example.test', 300, NULL),
    (@zone, '*.wild.example.test', 'A', '192.0.2.99', 300, NULL),
    (@zone, 'deep.below.example.test', 'TXT', '"below has no record"', 300, NULL),
    (@zone, '_sip._udp.example.test', 'SRV', '0 5060 www.example.test', 300, 5);
