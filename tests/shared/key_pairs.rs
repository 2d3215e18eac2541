//! RSA key pairs for tests that need a key and do not care who generated it: a server imports a public key in no time.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, OnceLock};

use orgkeys::crypto::rsa::{generate, public_pem};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;

/// A key pair, both halves in PEM.
pub struct KeyPair {
    pub private: String,
    pub public: String,
}

/// How many pairs there are.
pub const PAIRS: usize = 100;

/// Returns a pair that was not returned for `scope` before, which names a server or an organization. Others get the same
/// pairs.
pub fn next_pair(scope: &str) -> &'static KeyPair {
    static GENERATED: [OnceLock<KeyPair>; PAIRS] = [const { OnceLock::new() }; PAIRS];
    static RETURNED: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);
    let number = {
        let mut returned = RETURNED.lock().expect("the scopes");
        let number = returned.entry(scope.to_owned()).or_default();
        *number += 1;
        *number - 1
    };
    GENERATED[number].get_or_init(|| {
        let pair = generate(|| StdRng::from_seed(seed(number).expect("a seed"))).expect("a key pair");
        KeyPair { private: pair.private_pem.expose_secret().to_owned(), public: public_pem(&pair.public_der) }
    })
}

/// A seed with which a key is generated quickly, if there are so many. The first `PAIRS` are those of the pairs.
pub fn seed(number: usize) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    seed[..2].copy_from_slice(&SEEDS.get(number)?.to_le_bytes());
    Some(seed)
}

/// Seeds with which both primes of a key are found early, so that it takes a third of the time to generate: of 1,390
/// numbers from 10, these took the least. With another version of the generator they are as good as any others.
#[rustfmt::skip]
const SEEDS: [u16; 448] = [
    13, 21, 30, 45, 50, 51, 60, 62, 64, 65, 66, 67, 71, 73, 75, 76, 79, 80, 84, 86, 91, 95, 99, 106, 108, 113, 118,
    120, 121, 123, 124, 137, 139, 140, 142, 145, 147, 151, 154, 158, 159, 160, 161, 164, 168, 169, 178, 179, 181, 182,
    184, 186, 187, 188, 193, 196, 198, 199, 201, 203, 204, 205, 212, 213, 217, 223, 224, 228, 229, 233, 239, 240, 242,
    243, 246, 247, 252, 257, 263, 265, 273, 276, 282, 284, 295, 298, 304, 305, 307, 313, 317, 321, 322, 323, 324, 326,
    337, 343, 345, 348, 350, 354, 356, 359, 361, 364, 366, 367, 380, 387, 389, 399, 402, 403, 407, 408, 417, 425, 432,
    436, 449, 451, 454, 457, 464, 471, 475, 478, 479, 480, 481, 482, 483, 486, 488, 489, 491, 492, 496, 497, 506, 507,
    509, 512, 514, 516, 518, 521, 522, 527, 528, 534, 542, 544, 546, 550, 551, 552, 556, 561, 563, 565, 566, 570, 574,
    576, 581, 583, 585, 586, 587, 588, 600, 601, 607, 610, 615, 619, 621, 628, 629, 631, 632, 633, 637, 643, 644, 645,
    646, 647, 650, 654, 655, 656, 657, 660, 661, 667, 668, 669, 670, 676, 678, 680, 684, 685, 689, 691, 694, 695, 697,
    701, 702, 704, 715, 718, 720, 724, 727, 732, 737, 740, 742, 744, 747, 756, 757, 764, 767, 768, 770, 780, 781, 785,
    787, 790, 791, 792, 797, 801, 802, 803, 806, 807, 809, 812, 815, 816, 817, 819, 822, 823, 828, 836, 838, 842, 845,
    850, 851, 852, 853, 857, 859, 860, 861, 862, 864, 866, 869, 870, 871, 874, 875, 877, 878, 880, 884, 885, 886, 889,
    891, 893, 896, 897, 898, 899, 900, 901, 905, 908, 909, 915, 916, 920, 921, 922, 926, 927, 930, 934, 939, 940, 950,
    953, 957, 958, 964, 966, 969, 972, 979, 985, 987, 990, 995, 996, 997, 1006, 1011, 1020, 1022, 1025, 1031, 1033,
    1034, 1038, 1039, 1040, 1041, 1042, 1044, 1046, 1047, 1048, 1052, 1053, 1059, 1060, 1062, 1064, 1066, 1068, 1072,
    1087, 1088, 1091, 1092, 1093, 1094, 1098, 1099, 1100, 1104, 1111, 1116, 1120, 1122, 1125, 1128, 1132, 1136, 1138,
    1144, 1147, 1148, 1151, 1158, 1160, 1161, 1170, 1173, 1174, 1176, 1177, 1178, 1179, 1180, 1183, 1185, 1189, 1190,
    1191, 1192, 1193, 1195, 1196, 1197, 1202, 1204, 1217, 1219, 1221, 1229, 1232, 1234, 1235, 1238, 1242, 1243, 1249,
    1250, 1251, 1254, 1255, 1256, 1257, 1260, 1265, 1267, 1272, 1273, 1276, 1278, 1288, 1291, 1293, 1300, 1305, 1307,
    1312, 1314, 1321, 1324, 1340, 1342, 1344, 1348, 1349, 1351, 1352, 1353, 1354, 1355, 1357, 1360, 1361, 1364, 1365,
    1366, 1369, 1374, 1376, 1384, 1390, 1391, 1392, 1397, 1398,
];
