-- One table for everything, with type and class as numbers: 1 is A, 2 NS, 5
-- CNAME, 6 SOA, 15 MX, 16 TXT, 28 AAAA; class 1 is IN.

CREATE TABLE tb_dns (
    id     INT AUTO_INCREMENT PRIMARY KEY,
    name   VARCHAR(255) NOT NULL, -- lower case, no final dot
    type   SMALLINT UNSIGNED NOT NULL,
    class  SMALLINT UNSIGNED NOT NULL DEFAULT 1,
    ttl    INT UNSIGNED NOT NULL DEFAULT 3600,
    record TEXT NOT NULL,
    KEY by_name (name)
);

INSERT INTO tb_dns (name, type, ttl, record) VALUES
    ('example.test', 6, 3600,
     'ns1.example.test. hostmaster.example.test. 1 3600 600 86400 60'),
    ('example.test', 2, 3600, 'ns1.example.test.'),
    ('example.test', 15, 3600, '10 mail.example.test.'),
    ('ns1.example.test', 1, 3600, '192.0.2.53'),
    ('mail.example.test', 1, 3600, '192.0.2.25'),
    ('www.example.test', 1, 300, '192.0.2.80'),
    ('www.example.test', 28, 300, '2001:db8::80'),
    ('alias.example.test', 5, 300, 'www.example.test.'),
    ('*.wild.example.test', 1, 300, '192.0.2.99'),
    ('deep.below.example.test', 16, 300, '"below has no record"');
