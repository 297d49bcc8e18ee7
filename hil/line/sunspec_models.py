# SPDX-License-Identifier: MIT
"""SunSpec information models as data: points in order, so offsets follow from the layout.

Types: u/i 16, 32, 64 unsigned and signed; e16, b16, b32 enumeration and bit field; a32
accumulator; f32; sf scale factor; sN string of N registers; pad. Checked in the tests against the
public JSON models that pysunspec2 ships.
"""

from struct import Struct

_COMMON = "Mn:s16 Md:s16 Opt:s8 Vr:s8 SN:s16 DA:u16 Pad:pad"
_INVERTER_103 = (
    "A:u16 AphA:u16 AphB:u16 AphC:u16 A_SF:sf PPVphAB:u16 PPVphBC:u16 PPVphCA:u16 PhVphA:u16 "
    "PhVphB:u16 PhVphC:u16 V_SF:sf W:i16 W_SF:sf Hz:u16 Hz_SF:sf VA:i16 VA_SF:sf VAr:i16 "
    "VAr_SF:sf PF:i16 PF_SF:sf WH:a32 WH_SF:sf DCA:u16 DCA_SF:sf DCV:u16 DCV_SF:sf DCW:i16 "
    "DCW_SF:sf TmpCab:i16 TmpSnk:i16 TmpTrns:i16 TmpOt:i16 Tmp_SF:sf St:e16 StVnd:e16 Evt1:b32 "
    "Evt2:b32 EvtVnd1:b32 EvtVnd2:b32 EvtVnd3:b32 EvtVnd4:b32"
)
_NAMEPLATE_120 = (
    "DERTyp:e16 WRtg:u16 WRtg_SF:sf VARtg:u16 VARtg_SF:sf VArRtgQ1:i16 VArRtgQ2:i16 VArRtgQ3:i16 "
    "VArRtgQ4:i16 VArRtg_SF:sf ARtg:u16 ARtg_SF:sf PFRtgQ1:i16 PFRtgQ2:i16 PFRtgQ3:i16 "
    "PFRtgQ4:i16 PFRtg_SF:sf WHRtg:u16 WHRtg_SF:sf AhrRtg:u16 AhrRtg_SF:sf MaxChaRte:u16 "
    "MaxChaRte_SF:sf MaxDisChaRte:u16 MaxDisChaRte_SF:sf Pad:pad"
)
_CONTROLS_123 = (
    "Conn_WinTms:u16 Conn_RvrtTms:u16 Conn:e16 WMaxLimPct:u16 WMaxLimPct_WinTms:u16 "
    "WMaxLimPct_RvrtTms:u16 WMaxLimPct_RmpTms:u16 WMaxLim_Ena:e16 OutPFSet:i16 "
    "OutPFSet_WinTms:u16 OutPFSet_RvrtTms:u16 OutPFSet_RmpTms:u16 OutPFSet_Ena:e16 "
    "VArWMaxPct:i16 VArMaxPct:i16 VArAvalPct:i16 VArPct_WinTms:u16 VArPct_RvrtTms:u16 "
    "VArPct_RmpTms:u16 VArPct_Mod:e16 VArPct_Ena:e16 WMaxLimPct_SF:sf OutPFSet_SF:sf VArPct_SF:sf"
)
_STORAGE_124 = (
    "WChaMax:u16 WChaGra:u16 WDisChaGra:u16 StorCtl_Mod:b16 VAChaMax:u16 MinRsvPct:u16 "
    "ChaState:u16 StorAval:u16 InBatV:u16 ChaSt:e16 OutWRte:i16 InWRte:i16 InOutWRte_WinTms:u16 "
    "InOutWRte_RvrtTms:u16 InOutWRte_RmpTms:u16 ChaGriSet:e16 WChaMax_SF:sf WChaDisChaGra_SF:sf "
    "VAChaMax_SF:sf MinRsvPct_SF:sf ChaState_SF:sf StorAval_SF:sf InBatV_SF:sf InOutWRte_SF:sf"
)


def _each(pattern, suffixes):
    return " ".join(pattern.replace("*", suffix) for suffix in suffixes)


_METER_203 = " ".join(
    (
        "A:i16 AphA:i16 AphB:i16 AphC:i16 A_SF:sf PhV:i16 PhVphA:i16 PhVphB:i16 PhVphC:i16",
        "PPV:i16 PhVphAB:i16 PhVphBC:i16 PhVphCA:i16 V_SF:sf Hz:i16 Hz_SF:sf",
        _each("*:i16 *phA:i16 *phB:i16 *phC:i16 *_SF:sf", ("W", "VA", "VAR", "PF")),
        _each("TotWh*:a32 TotWh*PhA:a32 TotWh*PhB:a32 TotWh*PhC:a32", ("Exp", "Imp")),
        "TotWh_SF:sf",
        _each("TotVAh*:a32 TotVAh*PhA:a32 TotVAh*PhB:a32 TotVAh*PhC:a32", ("Exp", "Imp")),
        "TotVAh_SF:sf",
        _each(
            "TotVArh*:a32 TotVArh*PhA:a32 TotVArh*PhB:a32 TotVArh*PhC:a32",
            ("ImpQ1", "ImpQ2", "ExpQ3", "ExpQ4"),
        ),
        "TotVArh_SF:sf Evt:b32",
    )
)
_METER_213 = " ".join(
    (
        "A:f32 AphA:f32 AphB:f32 AphC:f32 PhV:f32 PhVphA:f32 PhVphB:f32 PhVphC:f32 PPV:f32",
        "PPVphAB:f32 PPVphBC:f32 PPVphCA:f32 Hz:f32",
        _each("*:f32 *phA:f32 *phB:f32 *phC:f32", ("W", "VA", "VAR", "PF")),
        _each("Tot*:f32 Tot*PhA:f32 Tot*PhB:f32 Tot*PhC:f32", ("WhExp", "WhImp")),
        _each("Tot*:f32 Tot*PhA:f32 Tot*PhB:f32 Tot*PhC:f32", ("VAhExp", "VAhImp")),
        _each(
            "TotVArh*:f32 TotVArh*phA:f32 TotVArh*phB:f32 TotVArh*phC:f32",
            ("ImpQ1", "ImpQ2", "ExpQ3", "ExpQ4"),
        ),
        "Evt:b32",
    )
)
_DER_AC_701 = " ".join(
    (
        "ACType:e16 St:e16 InvSt:e16 ConnSt:e16 Alrm:b32 DERMode:b32 W:i16 VA:i16 Var:i16 PF:i16",
        "A:i16 LLV:u16 LNV:u16 Hz:u32 TotWhInj:u64 TotWhAbs:u64 TotVarhInj:u64 TotVarhAbs:u64",
        "TmpAmb:i16 TmpCab:i16 TmpSnk:i16 TmpTrns:i16 TmpSw:i16 TmpOt:i16",
        " ".join(
            f"W{x}:i16 VA{x}:i16 Var{x}:i16 PF{x}:i16 A{x}:i16 V{x}{y}:u16 V{x}:u16 "
            f"TotWhInj{x}:u64 TotWhAbs{x}:u64 TotVarhInj{x}:u64 TotVarhAbs{x}:u64"
            for x, y in (("L1", "L2"), ("L2", "L3"), ("L3", "L1"))
        ),
        "ThrotPct:u16 ThrotSrc:b32 A_SF:sf V_SF:sf Hz_SF:sf W_SF:sf PF_SF:sf VA_SF:sf Var_SF:sf",
        "TotWh_SF:sf TotVarh_SF:sf Tmp_SF:sf MnAlrmInfo:s32",
    )
)
_CAPACITY_702 = (
    "WMaxRtg:u16 WOvrExtRtg:u16 WOvrExtRtgPF:u16 WUndExtRtg:u16 WUndExtRtgPF:u16 VAMaxRtg:u16 "
    "VarMaxInjRtg:u16 VarMaxAbsRtg:u16 WChaRteMaxRtg:u16 WDisChaRteMaxRtg:u16 VAChaRteMaxRtg:u16 "
    "VADisChaRteMaxRtg:u16 VNomRtg:u16 VMaxRtg:u16 VMinRtg:u16 AMaxRtg:u16 PFOvrExtRtg:u16 "
    "PFUndExtRtg:u16 ReactSusceptRtg:u16 NorOpCatRtg:e16 AbnOpCatRtg:e16 CtrlModes:b32 "
    "IntIslandCatRtg:b16 WMax:u16 WMaxOvrExt:u16 WOvrExtPF:u16 WMaxUndExt:u16 WUndExtPF:u16 "
    "VAMax:u16 VarMaxInj:u16 VarMaxAbs:u16 WChaRteMax:u16 WDisChaRteMax:u16 VAChaRteMax:u16 "
    "VADisChaRteMax:u16 VNom:u16 VMax:u16 VMin:u16 AMax:u16 PFOvrExt:u16 PFUndExt:u16 "
    "IntIslandCat:b16 W_SF:sf PF_SF:sf VA_SF:sf Var_SF:sf V_SF:sf A_SF:sf S_SF:sf"
)
_CONTROLS_704 = (
    "PFWInjEna:e16 PFWInjEnaRvrt:e16 PFWInjRvrtTms:u32 PFWInjRvrtRem:u32 PFWAbsEna:e16 "
    "PFWAbsEnaRvrt:e16 PFWAbsRvrtTms:u32 PFWAbsRvrtRem:u32 WMaxLimPctEna:e16 WMaxLimPct:u16 "
    "WMaxLimPctRvrt:u16 WMaxLimPctEnaRvrt:e16 WMaxLimPctRvrtTms:u32 WMaxLimPctRvrtRem:u32 "
    "WSetEna:e16 WSetMod:e16 WSet:i32 WSetRvrt:i32 WSetPct:i16 WSetPctRvrt:i16 WSetEnaRvrt:e16 "
    "WSetRvrtTms:u32 WSetRvrtRem:u32 VarSetEna:e16 VarSetMod:e16 VarSetPri:e16 VarSet:i32 "
    "VarSetRvrt:i32 VarSetPct:i16 VarSetPctRvrt:i16 VarSetEnaRvrt:e16 VarSetRvrtTms:u32 "
    "VarSetRvrtRem:u32 WRmp:u16 WRmpRef:e16 VarRmp:u16 AntiIslEna:e16 PF_SF:sf WMaxLimPct_SF:sf "
    "WSet_SF:sf WSetPct_SF:sf VarSet_SF:sf VarSetPct_SF:sf PFWInj.PF:u16 PFWInj.Ext:e16 "
    "PFWInjRvrt.PF:u16 PFWInjRvrt.Ext:e16 PFWAbs.PF:u16 PFWAbs.Ext:e16 PFWAbsRvrt.PF:u16 "
    "PFWAbsRvrt.Ext:e16"
)
_STORAGE_713 = "WHRtg:u16 WHAvail:u16 SoC:u16 SoH:u16 Sta:e16 WH_SF:sf Pct_SF:sf"

LAYOUTS = {
    1: _COMMON,
    103: _INVERTER_103,
    120: _NAMEPLATE_120,
    123: _CONTROLS_123,
    124: _STORAGE_124,
    203: _METER_203,
    213: _METER_213,
    701: _DER_AC_701,
    702: _CAPACITY_702,
    704: _CONTROLS_704,
    713: _STORAGE_713,
}
# type -> (registers, struct, the bytes that mean "not implemented")
TYPES = {
    "u16": (1, Struct(">H"), b"\xff\xff"),
    "i16": (1, Struct(">h"), b"\x80\x00"),
    "e16": (1, Struct(">H"), b"\xff\xff"),
    "b16": (1, Struct(">H"), b"\xff\xff"),
    "sf": (1, Struct(">h"), b"\x80\x00"),
    "pad": (1, Struct(">H"), b"\x80\x00"),
    "u32": (2, Struct(">I"), b"\xff\xff\xff\xff"),
    "i32": (2, Struct(">i"), b"\x80\x00\x00\x00"),
    "b32": (2, Struct(">I"), b"\xff\xff\xff\xff"),
    "a32": (2, Struct(">I"), b"\x00\x00\x00\x00"),
    "f32": (2, Struct(">f"), b"\x7f\xc0\x00\x00"),
    "u64": (4, Struct(">Q"), b"\xff" * 8),
}


def layout(model):
    """[(point, offset from the model's ID register, registers, struct, not-implemented bytes)]"""
    points = []
    offset = 2
    for entry in LAYOUTS[model].split():
        point, kind = entry.split(":")
        if kind in TYPES:
            size, codec, absent = TYPES[kind]
        else:
            size = int(kind[1:])
            codec, absent = Struct(f"{2 * size}s"), bytes(2 * size)
        points.append((point, offset, size, codec, absent))
        offset += size
    return points


def length(model):
    """The L register: registers after ID and L."""
    _, offset, size, _, _ = layout(model)[-1]
    return offset + size - 2
